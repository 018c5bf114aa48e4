"""How is a build described in a file? ggdq.toml: a key for each option of ``build``, by its long name."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from ggdq_mcu.errors import GgdqError

FILE = "ggdq.toml"
_NOT_KEPT = ("save_config", "as_json", "quiet", "verbose", "help")  # how a command is run, not what is built


def read_settings(path: Path, command: click.Command) -> dict[str, Any]:
    """Values of the parameters of ``command`` by their names; GgdqError, naming the key, for what is none of them."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise GgdqError(f"cannot be read ({error.strerror})", str(path)) from error
    except (ValueError, RecursionError) as error:
        raise GgdqError(f"not TOML: {error}", str(path)) from error
    parameters = _parameters(command)
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in parameters:
            near = get_close_matches(key, parameters, 1, 0.7)
            fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(parameters)}"
            raise GgdqError(f"unknown key {key!r}", str(path), fix)
        parameter = parameters[key]
        assert parameter.name is not None
        values[parameter.name] = _checked(value, parameter, f"{path}: {key}")
    return values


def write_settings(path: Path, context: click.Context) -> None:
    """Writes what was given to the command of ``context``, by its line or its file, and nothing that is a default."""
    lines = []
    for key, parameter in _parameters(context.command).items():
        assert parameter.name is not None
        value = context.params.get(parameter.name)
        if context.get_parameter_source(parameter.name) is click.core.ParameterSource.DEFAULT or value is None:
            continue
        lines.append(f"{key} = {_toml(value)}\n")
    try:
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise GgdqError(f"cannot be written ({error.strerror})", str(path)) from error


def _parameters(command: click.Command) -> Mapping[str, click.Parameter]:
    """Parameters by key: the long name of an option without its dashes, the name of an argument."""
    found = {}
    for parameter in command.params:
        long = next((name for name in parameter.opts if name.startswith("--")), parameter.name or "")
        if parameter.name not in _NOT_KEPT:
            found[long.removeprefix("--")] = parameter
    return found


def _checked(value: Any, parameter: click.Parameter, where: str) -> Any:
    """A value as a command line would give it: texts, whole numbers, true and false, and lists where several may be given."""
    if (
        isinstance(value, list) != parameter.multiple
        if isinstance(parameter, click.Option)
        else isinstance(value, list)
    ):
        raise GgdqError("is a list" if isinstance(value, list) else "is no list", where, "see ggdq-mcu build --help")
    flag = isinstance(parameter, click.Option) and parameter.is_flag
    for one in value if isinstance(value, list) else [value]:
        if not isinstance(one, str | int) or isinstance(one, bool) != flag:
            fix = "write true or false" if flag else "write a text in quotes or a whole number"
            raise GgdqError(f"{one!r} is not a value of this option", where, fix)
    if flag:
        return value
    return [str(one) for one in value] if isinstance(value, list) else str(value)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return str(value) if isinstance(value, int) else json.dumps(str(value), ensure_ascii=False)
