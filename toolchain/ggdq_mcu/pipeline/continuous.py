"""How does a user's own CI keep a network from getting worse? The files that it runs."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import jinja2

from ggdq_mcu import boards, resources
from ggdq_mcu.boards import Board
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.tflite_file import is_tflite
from ggdq_mcu.version import __version__

FILES = {"github.yml.j2": ".github/workflows/ggdq-mcu.yml", "gitlab.yml.j2": ".gitlab-ci.yml"}
BASELINE = "ggdq-baseline.json"
_OUT = "build/firmware"


@dataclass(frozen=True)
class CiFiles:
    """What was written, and the commands by which the baseline is made for the first time."""

    files: tuple[Path, ...]
    commands: tuple[str, ...]


def init_ci(
    repository: Path, model: Path, board: str, data: Path, calibration: Path | None = None, install: str = ""
) -> CiFiles:
    """Writes the CI files into ``repository``; the paths are relative to it, or within it.

    ``install``: what pip installs: a wheel's path in the repository, or an address like git+https://...; "": this version.
    Raises GgdqError where a path is not there, or another file is in the way: then nothing is written.
    """
    if not repository.is_dir():
        raise GgdqError("there is no such folder", str(repository))
    for name in ("\n", "\r"):
        if name in f"{model}{board}{data}{calibration}{install}":
            raise GgdqError("a path has a line end in it", str(repository), "rename it")
    known = boards.load(repository / board if board.endswith(".json") else board)
    paths = {"model": model, "data": data} | ({"calib": calibration} if calibration else {})
    inside = {key: shlex.quote(_inside(repository, path)) for key, path in paths.items()}
    calib = f" --calib {inside['calib']}" if calibration else ""
    build = f"ggdq-mcu build {inside['model']} --board {shlex.quote(board)}{calib} --out {_OUT}"
    verify = f"ggdq-mcu verify {_OUT} --data {inside['data']} --count 20"
    check = f"ggdq-mcu check {_OUT} --against {BASELINE} --data {inside['data']}"
    requirement = shlex.quote(
        _requirement(install, _extras(repository / model if not model.is_absolute() else model), repository)
    )
    contents = {
        repository / target: _render(template, known, [build, verify, check], requirement)
        for template, target in FILES.items()
    }
    for path, content in contents.items():
        if path.exists() and path.read_text(encoding="utf-8") != content:
            raise GgdqError("another file is in the way", str(path), "move it, or merge by hand")
    for path, content in contents.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return CiFiles(tuple(contents), (build, f"{check} --write"))


def _inside(repository: Path, path: Path) -> str:
    full = path if path.is_absolute() else repository / path
    if not full.exists():
        raise GgdqError("there is no such file", str(full), "give a path within the repository")
    try:
        return full.resolve().relative_to(repository.resolve()).as_posix()
    except ValueError as error:
        raise GgdqError("this file is not in the repository", str(full), "CI would not find it") from error


def _extras(model: Path) -> str:
    """The extras of this package that reading the model needs, in brackets; "" for none."""
    if model.is_dir():
        return "[tensorflow,tflite]"
    if is_tflite(model):
        return "[tflite]"
    return "[onnx]" if model.suffix.lower() == ".onnx" else ""


def _requirement(install: str, extras: str, repository: Path) -> str:
    """What pip is told to install."""
    if not install:
        return f"ggdq-mcu{extras}=={__version__}"
    if "://" in install:
        return f"ggdq-mcu{extras} @ {install}"
    return f"./{_inside(repository, Path(install))}{extras}"


def _render(template: str, board: Board, commands: list[str], requirement: str) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.root("templates") / "ci"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    packages = board.qemu.program if board.qemu and not board.core.unicorn else ""
    return environment.get_template(template).render(commands=commands, packages=packages, requirement=requirement)
