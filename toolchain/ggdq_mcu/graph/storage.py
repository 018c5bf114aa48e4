"""How is a quantized network kept in one file? A zip of one JSON text and plain arrays; nothing in it is ever executed."""

from __future__ import annotations

import io
import json
import math
import typing
import zipfile
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.format import Format
from ggdq_mcu.graph.graph import Array
from ggdq_mcu.graph.quantized import QuantizedGraph, QuantizedNode
from ggdq_mcu.operators import Operator, operator_classes

VERSION = 1
_MOST_BYTES = 1 << 28
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: same network, same bytes


def save(graph: QuantizedGraph, path: str | Path) -> None:
    """Write ``graph`` to ``path``; the same graph always gives the same bytes."""
    arrays: dict[str, Array] = {}
    nodes = []
    for index, node in enumerate(graph.nodes):
        for key, value in node.constants.items():
            arrays[f"{index}.{key}"] = value
        if node.format.per_channel:
            arrays[f"{index}@step"] = np.asarray(node.format.step)
        nodes.append(
            {
                "name": node.name,
                "operator": _operator_to_json(node.operator),
                "inputs": list(node.inputs),
                "bits": node.format.bits,
                "signed": node.format.signed,
                "step": None if node.format.per_channel else float(node.format.step),
                "zero_point": node.format.zero_point,
            }
        )
    text = json.dumps({"version": VERSION, "name": graph.name, "nodes": nodes, "outputs": list(graph.outputs)}, indent=1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, "graph.json", text.encode())
        for key, value in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(value, order="C"), allow_pickle=False)
            _write(archive, f"{key}.npy", buffer.getvalue())


def load(path: str | Path) -> QuantizedGraph:
    """Read a file that ``save`` wrote; GgdqError for anything else, and for versions that are not known here."""
    where = f"quantized network {path}"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                raise GgdqError("too large", where)
            content = json.loads(archive.read("graph.json"))
            if content["version"] != VERSION:
                raise GgdqError(f"version {content['version']!r}; this program reads version {VERSION}", where)
            arrays = {
                name[:-4]: np.lib.format.read_array(io.BytesIO(archive.read(name)), allow_pickle=False)
                for name in archive.namelist()
                if name.endswith(".npy")
            }
            nodes = tuple(_node_from_json(i, node, arrays) for i, node in enumerate(content["nodes"]))
            graph = QuantizedGraph(str(content["name"]), nodes, tuple(content["outputs"]))
            _ = graph.shapes
            return graph
    except FileNotFoundError as error:
        raise GgdqError("no such file", where) from error
    except (zipfile.BadZipFile, zlib.error, KeyError, ValueError, TypeError, AttributeError, OSError, EOFError) as error:
        raise GgdqError(f"cannot be read ({type(error).__name__}: {error})", where) from error


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def _node_from_json(index: int, node: dict[str, Any], arrays: dict[str, Array]) -> QuantizedNode:
    prefix = f"{index}."
    constants = {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}
    step = arrays[f"{index}@step"] if node["step"] is None else float(node["step"])
    format_ = Format(int(node["bits"]), bool(node["signed"]), step, int(node["zero_point"]))
    return QuantizedNode(str(node["name"]), _operator_from_json(node["operator"]), tuple(node["inputs"]), format_, constants)


def _operator_to_json(operator: Operator) -> dict[str, Any]:
    values = {field.name: getattr(operator, field.name) for field in fields(operator)}
    plain = {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in values.items()}
    return {"class": type(operator).__name__} | plain


def _operator_from_json(content: dict[str, Any]) -> Operator:
    kind = operator_classes()[content["class"]]
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for field in fields(kind):
        value = content[field.name]
        if value is None and field.name in ("low", "high"):
            continue  # infinite: the default
        hint = hints[field.name]
        named = isinstance(hint, type) and issubclass(hint, tuple) and hasattr(hint, "_fields")
        if named:
            arguments[field.name] = hint(*(int(v) for v in value))
        elif isinstance(value, list):
            arguments[field.name] = tuple(int(v) for v in value)
        else:
            arguments[field.name] = hint(value)
    return kind(**arguments)
