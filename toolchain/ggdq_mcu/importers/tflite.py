"""How does a TFLite file become a graph? Operator by operator, in the file's order, in real numbers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from math import prod
from pathlib import Path

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import Shape, infer_shape
from ggdq_mcu.importers import tflite_file
from ggdq_mcu.importers.problems import Problems
from ggdq_mcu.importers.shapes import InputShapes, with_given
from ggdq_mcu.importers.tflite_file import FileOperator, TFLiteFile
from ggdq_mcu.importers.tflite_patterns import with_dilation
from ggdq_mcu.importers.tflite_refused import REFUSED, refusal
from ggdq_mcu.importers.tflite_shapes import computed
from ggdq_mcu.importers.tflite_variables import KINDS, Variables
from ggdq_mcu.operators import tflite_constants, tflite_operators
from ggdq_mcu.operators.input import Input
from ggdq_mcu.sources.keras import MAX_ELEMENTS
from ggdq_mcu.sources.tflite import Array, Tensor, TFLiteOperator

#: Names that the converter gives where it knows of no layer.
_NAMELESS = re.compile(r"(Stateful)?PartitionedCall|tfl\.|arith\.|tensor_\d+$|Identity")
#: The nodes of an operator, none where its output is its input; or its value.
Converted = list[Node] | Array
_INNER_SCOPES = ("batchnorm", "separable_conv2d")  # that TensorFlow's own functions open in a layer's scope


def read(path: Path, name: str, shapes: InputShapes | None = None) -> Graph:
    """The float graph of the file; what is quantized in it is multiplied out. ``shapes``: those of inputs, by name."""
    file = tflite_file.read(path)
    with_given({file.tensors[index].name: file.tensors[index].shape for index in file.inputs}, shapes)
    return graph_of(file, name, translated)


def translated(operator: TFLiteOperator) -> Converted:
    """The nodes of one operator, or its value where that does not depend on the network's input."""
    known = tflite_operators()
    if operator.kind not in known:
        raise refusal(operator)
    convert: Callable[[TFLiteOperator], Converted] = known[operator.kind]
    return convert(operator) if operator.inputs or operator.kind in tflite_constants() else folded(operator, convert)


def folded(op: TFLiteOperator, convert: Callable[[TFLiteOperator], Converted]) -> Array:
    """The value, real numbers, of an operator on constants: what its nodes compute of them."""
    values: dict[str, Array] = {}
    tensors = list(op.tensors)
    for place, tensor in enumerate(op.tensors):
        if tensor is not None and tensor.stored is not None and (tensor.quantized or tensor.dtype.kind == "f"):
            name = f"constant_{place}"
            values[name] = op.constant(place).reshape(1, *tensor.inner)
            tensors[place] = replace(tensor, node=name, stored=None)
    nodes = convert(replace(op, tensors=tuple(tensors))) if values else []
    if isinstance(nodes, np.ndarray) or not nodes or len(op.outputs) != 1:
        raise op.error("computes a constant", "convert the network with constants folded")
    for node in nodes:
        values[node.name] = node.operator.compute([values[source] for source in node.inputs], node.weights)
    return values[nodes[-1].name].reshape(op.outputs[0].shape)


def graph_of(
    file: TFLiteFile,
    name: str,
    convert: Callable[[TFLiteOperator], Converted],
    keep: Callable[[Node, Tensor], None] = lambda _, __: None,
) -> Graph:
    """The graph of a file, where ``convert`` gives the nodes of an operator: none where its output is its input.

    ``keep`` is told the nodes of variables, and the tensors whose values they hold.
    """
    file = with_dilation(file)
    walk = _Walk(file, keep)
    for index, operator in enumerate(file.operators):
        with walk.problems.gathered():
            walk.step(operator, index, convert)
    walk.problems.check()
    return Graph(_clean(name), tuple(walk.nodes), walk.outputs())


class _Walk:
    """Collects the nodes of a graph while a file's operators are gone through."""

    def __init__(self, file: TFLiteFile, keep: Callable[[Node, Tensor], None]) -> None:
        self.file, self.keep = file, keep
        self.tensors = list(file.tensors)
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.made_by: dict[int, str] = {}
        self.variables = Variables(file, self.stateful)
        self.names = _layer_names(file)
        self.problems = Problems()
        self.missing: set[int] = set()  # tensors whose operator could not be converted
        for index in file.inputs:
            self.input(index)

    def input(self, index: int) -> None:
        """Add an input of the network."""
        tensor = self.tensors[index]
        where = f"input {tensor.name[:80]!r}"
        if prod(tensor.shape) < 1:
            raise GgdqError(f"has shape {tensor.shape}", where, "convert the network for a batch of 1 and fixed sizes")
        if tensor.node or tensor.stored is not None:
            raise GgdqError("is there twice, or is a constant", where)
        sizes = _sizes_of(self.file, index)
        if sizes:
            self.tensors[index] = replace(tensor, stored=np.array(sizes, np.int32))
            return
        name = self.unique(_clean(re.sub(r"^serving_default_|:\d+$", "", tensor.name)))
        self.tensors[index] = replace(tensor, node=name)
        self.add(Node(name, Input(tensor.inner)))

    def step(self, found: FileOperator, index: int, convert: Callable[[TFLiteOperator], Converted]) -> None:
        """Add the nodes of one operator."""
        outputs = tuple(self.tensors[i] for i in found.outputs)
        name = self.names[index]
        names = tuple(self.unique(name if i == 0 else f"{name}_{i}") for i in range(len(outputs)))
        reads = tuple(self.tensors[i] if i >= 0 else None for i in found.inputs)
        operator = TFLiteOperator(found.kind, names or (name,), reads, outputs, found.options, self.unique)
        if found.kind in REFUSED:
            self.missing.update(found.outputs)
            raise refusal(operator)
        missing = not self.missing.isdisjoint(found.inputs)
        self.missing.update(found.outputs)
        if missing:
            if found.kind not in tflite_operators():
                convert(operator)  # says that it is not supported
            return
        for i in found.inputs:
            if (
                i >= 0
                and not (self.tensors[i].node or self.tensors[i].variable)
                and self.tensors[i].stored is None
                and i not in self.made_by
            ):
                raise operator.error(f"reads {self.tensors[i].name[:80]!r}, which nothing before it computes")
        if operator.kind in KINDS:
            self.variable(operator, found)
            self.missing.difference_update(found.outputs)
            return
        if not outputs or any(self.tensors[i].node or i in self.made_by or self.tensors[i].stored is not None
                              for i in found.outputs):  # fmt: skip
            raise operator.error("computes nothing, or what is there already")
        if any(tensor.variable for tensor in outputs):
            raise operator.error("writes a tensor that keeps a state, which only recurrent operators may")
        self.made_by |= dict.fromkeys(found.outputs, found.kind)
        known = computed(operator) if _of_shapes(self.file, found) else None
        if known is not None:
            self.tensors[found.outputs[0]] = replace(outputs[0], stored=known)
        elif not _of_shapes(self.file, found) or (operator.inputs and found.kind in tflite_operators()):
            self.value(operator, found, convert)
        self.missing.difference_update(found.outputs)

    def variable(self, op: TFLiteOperator, found: FileOperator) -> None:
        """Follow an operator on variables."""
        first = self.nodes[0].name if self.nodes else ""
        read = self.variables.step(op, found, first)
        self.made_by |= dict.fromkeys(found.outputs, found.kind)
        if read is not None:
            self.tensors[found.outputs[0]] = replace(op.outputs[0], node=read.node, stored=read.stored)

    def value(self, op: TFLiteOperator, found: FileOperator, convert: Callable[[TFLiteOperator], Converted]) -> None:
        """Give the outputs of one operator their values: nodes, or a constant where its input is one."""
        if op.kind == "DEQUANTIZE" and op.is_constant(0):
            stored = op.constant(0)
            if stored.shape != op.outputs[0].shape:
                raise op.error(f"makes shape {op.outputs[0].shape} of {stored.shape}")
            self.tensors[found.outputs[0]] = replace(op.outputs[0], stored=stored)
            return
        nodes = convert(op)
        if isinstance(nodes, np.ndarray):
            self.tensors[found.outputs[0]] = _known(op.outputs[0], nodes)
            return
        for node in nodes:
            self.add(node)
        for i, name, tensor in zip(found.outputs, op.names, op.outputs, strict=True):
            holder = name if nodes else op.source
            inner = self.shapes[holder]
            shape = (1, *inner) if len(inner) < len(tensor.shape) else inner
            if len(shape) != len(tensor.shape) or (tensor.fixed and shape != tensor.shape):
                raise op.error(f"has an output of shape {tensor.shape} in the file, but computes {inner}")
            self.tensors[i] = replace(tensor, node=holder, shape=shape)

    def stateful(self, node: Node, tensor: Tensor) -> None:
        """Add a node of a variable."""
        self.keep(node, tensor)
        self.add(node)

    def add(self, node: Node) -> None:
        """Add a node."""
        if node.name in self.shapes:
            raise GgdqError("is there twice", f"layer {node.name!r}")
        shape = infer_shape(node, self.shapes)
        if prod(shape) > MAX_ELEMENTS:
            raise GgdqError(f"output of shape {shape} has more than {MAX_ELEMENTS} elements", f"layer {node.name!r}")
        self.shapes[node.name] = shape
        self.nodes.append(node)

    def outputs(self) -> tuple[str, ...]:
        """The nodes whose values the network returns."""
        found: list[str] = []
        for index in self.file.outputs:
            tensor = self.tensors[index]
            if not tensor.node or index not in self.made_by:
                kind = self.made_by.get(index)
                what = f"is made by {kind}, which is not supported" if kind else "is not computed by the network"
                raise GgdqError(what, f"output {tensor.name[:80]!r}", "end the network before it")
            found.append(tensor.node)
        return tuple(dict.fromkeys(found))

    def unique(self, name: str) -> str:
        """A node name that no other node has."""
        count, candidate = 1, name
        while candidate in self.shapes:
            count += 1
            candidate = f"{name}_{count}"
        return candidate


def _known(tensor: Tensor, value: Array) -> Tensor:
    """The tensor with its value; where that is real numbers for integers with a scale, the scale goes."""
    if value.dtype.kind == "f" and tensor.quantized:
        none = np.zeros(0)
        tensor = replace(tensor, dtype=value.dtype, scales=none, zero_points=none.astype(np.int64))
    return replace(tensor, stored=value, shape=value.shape)


def _of_shapes(file: TFLiteFile, operator: FileOperator) -> bool:
    """Does the operator compute with plain integers, as those do that calculate shapes?"""
    outputs = [file.tensors[index] for index in operator.outputs]
    return all(one.dtype in (np.int32, np.int64, np.bool_) and not one.quantized for one in outputs)


def inputs_of(file: TFLiteFile) -> list[Tensor]:
    """The inputs that become inputs of the network."""
    return [file.tensors[index] for index in file.inputs if not _sizes_of(file, index)]


def _sizes_of(file: TFLiteFile, index: int) -> Shape:
    """The shape that an input stands for, where operators read it as nothing else: their output's, which is fixed."""
    readers = [one for one in file.operators if index in one.inputs]
    if (
        not readers
        or file.tensors[index].quantized
        or any(one.kind != "TRANSPOSE_CONV" or one.inputs[0] != index for one in readers)
    ):
        return ()
    shapes = {file.tensors[one.outputs[0]].shape for one in readers if one.outputs}
    return shapes.pop() if len(shapes) == 1 else ()


def _layer_names(file: TFLiteFile) -> list[str]:
    """For each operator the name of the layer that it comes from, as the name of its first output tells it."""
    told = [_scope(file.tensors[one.outputs[0]]) if one.outputs else "" for one in file.operators]
    known = [name for name, one in zip(told, file.operators, strict=True) if name and not _of_shapes(file, one)]
    # Keras 3 traces a model under names with one more number at their end, every one of them.
    strip = bool(known) and all(re.search(r"_\d+$", name) for name in known)
    names = [re.sub(r"_\d+$", "", name) if strip else name for name in told]
    return [_clean(name) if name else one.kind.lower() for name, one in zip(names, file.operators, strict=True)]


def _scope(tensor: Tensor) -> str:
    """The layer's part of a tensor's name: layer of "model/layer/batchnorm/mul_1;model/other/Conv2D"."""
    name = re.sub(r":\d+$", "", tensor.name.split(";")[0])
    parts = [part for part in name.split("/") if part]
    if _NAMELESS.match(name) or not parts:
        return ""
    parts = parts[:-1] or parts
    parts = [part for part in parts[1:] if part not in _INNER_SCOPES] or parts
    return "/".join(parts)


def _clean(name: str) -> str:
    """A name with nothing in it that could end a comment or a string, wherever it is printed."""
    return re.sub(r"[^A-Za-z0-9_.\-/]", "_", name)[:96] or "_"
