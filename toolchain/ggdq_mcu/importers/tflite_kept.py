"""How does a quantized TFLite network keep its own arithmetic? Each operator in the integers that the file gives it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.importers import tflite_file
from ggdq_mcu.importers.tflite import Converted, graph_of, inputs_of
from ggdq_mcu.importers.tflite_file import TFLiteFile
from ggdq_mcu.importers.tflite_patterns import with_functions
from ggdq_mcu.importers.tflite_refused import REFUSED, refusal
from ggdq_mcu.operators import tflite_constants, tflite_kept
from ggdq_mcu.sources.tflite import Tensor, TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, format_of

_DOORS = ("QUANTIZE", "DEQUANTIZE")


def read(path: Path, name: str, micro: bool = True) -> tuple[Graph, QuantizedGraph]:
    """The network in real numbers and in its own integers, node by node the same; GgdqError where it has none.

    ``micro``: in the arithmetic of TensorFlow Lite Micro, else in that of the desktop's reference kernels.
    """
    return kept(tflite_file.read(path), name, micro)


def kept(file: TFLiteFile, name: str, micro: bool = True) -> tuple[Graph, QuantizedGraph]:
    """The same of a file that has been read."""
    file = with_functions(file)
    keeper = _Keeper(micro)
    graph = graph_of(file, name, keeper.convert, keeper.variable)
    inputs = inputs_of(file)
    formats: dict[str, Format | None] = {
        node: keeper.doors.get(node, tensor.format()) for node, tensor in zip(graph.inputs, inputs, strict=True)
    }
    nodes = []
    for node in graph.nodes:
        if node.inputs:
            nodes.append(keeper.nodes[node.name])
            continue
        format_ = formats[node.name]
        if format_ is None:
            raise GgdqError("is not quantized, nor does a QUANTIZE read it", f"input {node.name!r}", WITHOUT)
        nodes.append(QuantizedNode(node.name, node.operator, (), format_))
    return graph, QuantizedGraph(graph.name, tuple(nodes), graph.outputs)


def is_quantized(file: TFLiteFile) -> bool:
    """Has it operators on integers alone, but for those that quantize its inputs and dequantize its outputs?"""
    inner = [one for one in file.operators if one.kind not in _DOORS]
    made = [file.tensors[index] for one in inner for index in one.outputs]
    return any(one.quantized for one in made) and not any(one.dtype.kind == "f" for one in made)


class _Keeper:
    """Collects the quantized nodes, and the formats of inputs that the network quantizes itself, by name."""

    def __init__(self, micro: bool) -> None:
        self.micro = micro
        self.nodes: dict[str, QuantizedNode] = {}
        self.doors: dict[str, Format] = {}
        self.dequantized: set[str] = set()
        self.formats: dict[str, Format] = {}  # of variables

    def variable(self, node: Node, tensor: Tensor) -> None:
        """Take over a node of a variable."""
        found = tensor.format()
        if found is None:
            raise GgdqError("is not quantized", f"variable {node.name!r}", WITHOUT)
        constants = {}
        if tensor.stored is not None:
            constants["initial"] = tensor.stored.reshape(tensor.inner)
        elif found != self.formats.setdefault(node.inputs[-1], found):
            raise GgdqError(
                "is assigned a value of another scale, which cannot be kept", f"variable {node.name!r}", WITHOUT
            )
        else:
            constants["initial"] = self.nodes[node.inputs[-1]].constants["initial"]
        self.formats[node.name] = found
        self.nodes[node.name] = QuantizedNode(node.name, node.operator, node.inputs, found, constants)

    def convert(self, op: TFLiteOperator) -> Converted:
        """The nodes of one operator in real numbers, none at the network's doors, where floats become integers and back; or
        its value.
        """
        if not op.inputs and op.kind not in tflite_constants():
            raise op.error("computes a constant", "convert the network with constants folded")
        if op.kind == "QUANTIZE" and not op.data.quantized:
            output = format_of(op, op.outputs[0])
            if (
                op.source in self.nodes
                or op.source in self.dequantized
                or self.doors.setdefault(op.source, output) != output
            ):
                raise op.error("quantizes real numbers inside the network, which cannot be kept", WITHOUT)
            return []
        if op.kind == "DEQUANTIZE":
            format_of(op, op.data)
            self.dequantized.add(op.source)
            return []
        known = tflite_kept()
        if op.kind in REFUSED:
            raise refusal(op)
        if op.kind not in known:
            raise op.error(
                "its arithmetic cannot be kept", f"{WITHOUT}; kept: {', '.join(sorted(known))}, {', '.join(_DOORS)}"
            )
        found = known[op.kind](replace(op, micro=self.micro))
        if isinstance(found, np.ndarray):
            return found
        self.nodes |= {one.quantized.name: one.quantized for one in found}
        nodes: list[Node] = [one.node for one in found]
        return nodes
