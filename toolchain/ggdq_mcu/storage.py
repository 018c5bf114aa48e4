"""How is a network kept in one file? A zip of one JSON text and plain arrays; nothing in it is ever executed.

Both kinds of network, float and quantized, are kept the same way; the kind is written in the file.
"""

from __future__ import annotations

import io
import json
import math
import typing
import zipfile
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ggdq_mcu.archives import DAMAGED
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.format import Format
from ggdq_mcu.graph.graph import Array, Graph, Node, Statistics
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.quantized import QuantizedGraph, QuantizedNode
from ggdq_mcu.npy import read_array
from ggdq_mcu.operators import operator_classes

VERSION = 1
_MOST_BYTES = 1 << 28
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of every member: same network, same bytes


def save(graph: QuantizedGraph, path: str | Path | BinaryIO) -> None:
    """Write the quantized ``graph`` to ``path``; the same graph always gives the same bytes."""
    arrays: dict[str, Array] = {}
    nodes = []
    for index, node in enumerate(graph.nodes):
        arrays |= {f"{index}.{key}": value for key, value in node.constants.items()}
        if node.channels is not None:
            arrays[f"{index}@channels"] = node.channels
        if node.format.per_channel:
            arrays[f"{index}@step"] = np.asarray(node.format.step)
        if node.format.zeros is not None:
            arrays[f"{index}@zeros"] = node.format.zeros
        format_ = {
            "bits": node.format.bits,
            "signed": node.format.signed,
            "step": None if node.format.per_channel else float(node.format.step),
            "zero_point": node.format.zero_point,
        }
        nodes.append(_node_to_json(node) | format_)
    _write_file(path, "quantized", graph, nodes, arrays)


def save_float(graph: Graph, path: str | Path | BinaryIO) -> None:
    """Write the float ``graph`` to ``path``; the same graph always gives the same bytes."""
    arrays: dict[str, Array] = {}
    for index, node in enumerate(graph.nodes):
        arrays |= {f"{index}.{key}": value for key, value in node.weights.items()}
        if node.statistics:
            arrays |= {f"{index}@mean": node.statistics.mean, f"{index}@deviation": node.statistics.deviation}
    _write_file(path, "float", graph, [_node_to_json(node) for node in graph.nodes], arrays)


def load(path: str | Path | BinaryIO) -> QuantizedGraph:
    """Read a file that ``save`` wrote; GgdqError for anything else, and for versions not known here."""
    graph = _read_file(path, "quantized")
    assert isinstance(graph, QuantizedGraph)
    return graph


def load_float(path: str | Path | BinaryIO) -> Graph:
    """Read a file that ``save_float`` wrote; GgdqError for anything else, and for versions not known here."""
    graph = _read_file(path, "float")
    assert isinstance(graph, Graph)
    return graph


def _write_file(
    path: str | Path | BinaryIO,
    kind: str,
    graph: Graph | QuantizedGraph,
    nodes: list[dict[str, Any]],
    arrays: Mapping[str, Array],
) -> None:
    content = {
        "version": VERSION,
        "kind": kind,
        "name": graph.name,
        "nodes": nodes,
        "outputs": list(graph.outputs),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        _write(archive, "graph.json", json.dumps(content, indent=1).encode())
        for key, value in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.asarray(value, order="C"), allow_pickle=False)
            _write(archive, f"{key}.npy", buffer.getvalue())


def _write(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(info, content)


def _read_file(path: str | Path | BinaryIO, kind: str) -> Graph | QuantizedGraph:
    where = f"{kind} network {path}" if isinstance(path, str | Path) else f"{kind} network"
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                raise GgdqError("too large", where)
            content = json.loads(archive.read("graph.json"))
            if (content["version"], content["kind"]) != (VERSION, kind):
                found = f"{content['kind']!r} network of version {content['version']!r}"
                raise GgdqError(f"holds a {found}; this program reads version {VERSION}", where)
            arrays = {
                info.filename[:-4]: read_array(io.BytesIO(archive.read(info)), info.file_size)
                for info in archive.infolist()
                if info.filename.endswith(".npy")
            }
        graph = _graph_from_json(content, arrays)
        _ = graph.shapes
        return graph
    except FileNotFoundError as error:
        raise GgdqError("no such file", where) from error
    except DAMAGED as error:
        raise GgdqError(f"cannot be read ({type(error).__name__}: {error})", where) from error


def _graph_from_json(content: dict[str, Any], arrays: Mapping[str, Array]) -> Graph | QuantizedGraph:
    name, outputs = str(content["name"]), tuple(content["outputs"])
    if content["kind"] == "float":
        return Graph(name, tuple(_node_from_json(i, node, arrays) for i, node in enumerate(content["nodes"])), outputs)
    nodes = tuple(_quantized_node_from_json(i, node, arrays) for i, node in enumerate(content["nodes"]))
    return QuantizedGraph(name, nodes, outputs)


def _node_to_json(node: Node | QuantizedNode) -> dict[str, Any]:
    return {"name": node.name, "operator": _operator_to_json(node.operator), "inputs": list(node.inputs)}


def _node_from_json(index: int, node: dict[str, Any], arrays: Mapping[str, Array]) -> Node:
    statistics = None
    if f"{index}@mean" in arrays:
        statistics = Statistics(arrays[f"{index}@mean"], arrays[f"{index}@deviation"])
    operator, inputs = _operator_from_json(node["operator"]), tuple(node["inputs"])
    return Node(str(node["name"]), operator, inputs, _arrays_of(index, arrays), statistics)


def _quantized_node_from_json(index: int, node: dict[str, Any], arrays: Mapping[str, Array]) -> QuantizedNode:
    step = arrays[f"{index}@step"] if node["step"] is None else float(node["step"])
    format_ = Format(
        int(node["bits"]), bool(node["signed"]), step, int(node["zero_point"]), arrays.get(f"{index}@zeros")
    )
    operator, inputs = _operator_from_json(node["operator"]), tuple(node["inputs"])
    constants, channels = _arrays_of(index, arrays), arrays.get(f"{index}@channels")
    return QuantizedNode(str(node["name"]), operator, inputs, format_, constants, channels)


def _arrays_of(index: int, arrays: Mapping[str, Array]) -> dict[str, Array]:
    prefix = f"{index}."
    return {key[len(prefix) :]: value for key, value in arrays.items() if key.startswith(prefix)}


def _operator_to_json(operator: Operator) -> dict[str, Any]:
    values = {field.name: getattr(operator, field.name) for field in fields(operator)}
    plain = {key: None if isinstance(value, float) and math.isinf(value) else value for key, value in values.items()}
    return {"class": type(operator).__name__} | plain


def _operator_from_json(content: dict[str, Any]) -> Operator:
    kind = operator_classes()[content["class"]]
    hints = typing.get_type_hints(kind)
    arguments: dict[str, Any] = {}
    for field in fields(kind):
        if field.name not in content and field.default is not MISSING:
            continue  # written before the operator had it
        value = content[field.name]
        if value is None and isinstance(field.default, float) and math.isinf(field.default):
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
