"""How does an ONNX model become a graph? Node by node; what depends on constants alone is computed on the way."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import Shape, infer_shape
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.importers import onnx_constants
from ggdq_mcu.importers.onnx_file import FileNode, OnnxFile, read
from ggdq_mcu.importers.problems import SEE_LIST, Problems
from ggdq_mcu.importers.shapes import InputShapes, give_shape, with_given
from ggdq_mcu.operators import onnx_operators
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.onnx_quantized import integers
from ggdq_mcu.sources.keras import MAX_ELEMENTS
from ggdq_mcu.sources.onnx import Attributes, OnnxOperator
from ggdq_mcu.sources.onnx_layout import Add, Moves, Steps, Tensor, channels_last, plain, plain_order

Array = NDArray[Any]
Value = Tensor | Array
_MOVES = Moves(Reshape, Permute)
_MAX_RANK = 8
_IMAGE = 3  # axes beside the batch
#: Nodes that take images or sequences channels first, nodes that do not, and those behind which the question is the same.
_CHANNELS_FIRST = frozenset(
    ("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace", "GlobalAveragePool",
     "GlobalMaxPool", "MaxPool", "PRelu", "Resize", "SpaceToDepth")
)  # fmt: skip
_CHANNELS_LAST = frozenset(("LayerNormalization", "MatMul", "Transpose"))
_EITHER = frozenset(
    (
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Div",
        "Dropout",
        "Identity",
        "Mul",
        "Neg",
        "Pad",
        "Relu",
        "Slice",
        "Split",
        "Sub",
    )
)
#: Nodes that only move or select values, so that integers keep their scale and zero point.
_MOVE = frozenset(
    ("Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "MaxPool", "ReduceMax", "ReduceMin", "Reshape",
     "Slice", "SpaceToDepth", "Split", "Squeeze", "Transpose", "Unsqueeze")
)  # fmt: skip
_TRUNCATES = frozenset(("Div", "Mod", "Pow", "Mean", "ReduceMean"))  # what integers do otherwise than real numbers
_WRAPS = frozenset(("Add", "Mul", "ReduceSum", "Sub", "Sum"))
#: Attributes that do not matter at inference, or only with others that are refused.
_NO_MATTER = {
    "BatchNormalization": frozenset(("momentum", "spatial")),
    "Cast": frozenset(("round_mode", "saturate")),
    "ConvTranspose": frozenset(("kernel_shape",)),
    "Dropout": frozenset(("ratio", "seed")),
    "Gemm": frozenset(("beta",)),
    "LayerNormalization": frozenset(("stash_type",)),
    "MaxPool": frozenset(("storage_order",)),
    "ReduceMax": frozenset(("noop_with_empty_axes",)),
    "ReduceMean": frozenset(("noop_with_empty_axes",)),
    "ReduceMin": frozenset(("noop_with_empty_axes",)),
    "ReduceSum": frozenset(("noop_with_empty_axes",)),
    "Resize": frozenset(("cubic_coeff_a", "extrapolation_value", "nearest_mode")),
}
#: What is said of nodes that are not supported, where something else can stand for them.
_INSTEAD = {
    "ArgMax": "end the network before it: the caller on the board finds the largest output",
    "Einsum": "use MatMul with a constant matrix",
    "GroupNormalization": "use BatchNormalization, which costs nothing on the device",
    "If": "export the network in evaluation mode, with fixed sizes",
    "InstanceNormalization": "use BatchNormalization, which costs nothing on the device",
    "Loop": "export the network in evaluation mode, with fixed sizes",
    "Scan": "export the network in evaluation mode, with fixed sizes",
    "Where": "use Max, Min or Clip",
}


def load_onnx(path: Path, name: str, shapes: InputShapes | None = None) -> Graph:
    """The graph of an ONNX file. ``shapes``: sizes of inputs that it leaves open, by name."""
    file = read(path, onnx_operators().keys() | onnx_constants.FOLDED)
    return _Walk(replace(file, inputs=with_given(file.inputs, shapes))).graph(name)


class _Walk:
    """The nodes of ours that were made so far, and the value of every tensor of the file."""

    def __init__(self, file: OnnxFile) -> None:
        self.file = file
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.parameters = 0
        self.values: dict[str, Value] = dict(file.constants)
        self.problems = Problems()
        self.missing: set[str] = set()  # tensors whose node could not be converted
        self.wanted = _needed(file)
        self.readers = Counter(name for node in self.wanted for name in node.inputs) + Counter(file.outputs)

    def graph(self, name: str) -> Graph:
        """The whole."""
        if not self.file.outputs or not self.file.inputs:
            raise GgdqError("the network has no inputs or no outputs")
        for key, sizes in self.file.inputs.items():
            self.missing.add(key)
            with self.problems.gathered():
                self.values[key] = self.input(key, sizes)
                self.missing.discard(key)
        for node in self.wanted:
            with self.problems.gathered():
                self.step(node)
        self.problems.check()
        outputs = [self.output(key) for key in self.file.outputs]
        return Graph(_clean(name), tuple(self.nodes), tuple(dict.fromkeys(outputs)))

    def input(self, name: str, sizes: tuple[int | None, ...]) -> Tensor:
        """Add an input of the network: channels last where what reads it takes images or sequences."""
        where, fix = f"input {name[:80]!r}", "export the network with fixed sizes and a batch of 1"
        text = tuple("?" if size is None else size for size in sizes)
        if len(sizes) > _MAX_RANK:
            raise GgdqError(f"its shape {text} has more than {_MAX_RANK} axes", where, fix)
        if len(sizes) > 1 and sizes[0] is None:
            sizes = (1, *sizes[1:])
        if any(size is None or size < 1 for size in sizes):
            raise GgdqError(f"its shape {text} is not fixed", where, give_shape(name, sizes))
        shape = tuple(int(size or 1) for size in sizes)
        last = len(shape) > 2 and shape[0] == 1 and _has_channels_first(self.file, name, len(shape) - 1)
        tensor = Tensor("", shape, channels_last(shape) if last else plain_order(shape))
        return tensor.of(self.add(_clean(name), Input(tensor.stored, channels_first=last), (), {}))

    def step(self, node: FileNode) -> None:
        """The values of a node's outputs."""
        missing = not self.missing.isdisjoint(node.inputs)
        self.missing.update(node.outputs)
        if missing:
            if node.kind not in onnx_operators() and not onnx_constants.folds(node):
                raise _unsupported(self.operator(node, ()))
            return
        inputs = tuple(self.value(node, name) if name else None for name in node.inputs)
        where = f"node {_clean(node.name)!r} ({node.kind[:60]})"
        constants = onnx_constants.known(node, inputs, self.file.opset)
        if constants is not None:
            results: tuple[Value, ...] = constants
        else:
            operator = self.operator(node, inputs)
            convert = onnx_operators().get(node.kind)
            if convert is None:
                raise _unsupported(operator)
            if not any(isinstance(value, Tensor) for value in inputs):
                raise operator.error("computes with constants alone, in a way that is not supported")
            operator, steps = _without_integers(operator)
            _check_integers(operator, [self.file.types.get(name, 0) for name in node.outputs])
            made = convert(operator)
            _check_attributes(operator)
            results = made if isinstance(made, tuple) else (made,)
            if steps is not None:
                results = tuple(replace(one, steps=steps) if isinstance(one, Tensor) else one for one in results)
        for key, value in zip(node.outputs, results, strict=False):
            self.values[key] = value
        self.missing.difference_update(node.outputs)
        for key in node.outputs[len(results) :]:
            if key and self.readers[key]:
                raise GgdqError(f"its output {key[:80]!r} is not supported", where)

    def operator(self, node: FileNode, inputs: tuple[Value | None, ...]) -> OnnxOperator:
        """A node as the operators see it. It is named after its weights, where these have a name that tells."""
        owners = (re.fullmatch(r"(.+)\.weight", name) for name in node.inputs[1:2] if name in self.file.constants)
        owner = next((found.group(1) for found in owners if found), node.name)
        read = tuple(bool(name and self.readers[name]) for name in node.outputs)
        return OnnxOperator(
            node.kind, _clean(owner), Attributes(node.attributes), inputs, read, self.file.opset, self.add, _MOVES
        )  # fmt: skip

    def value(self, node: FileNode, name: str) -> Value:
        """The value of a tensor that a node reads."""
        if name not in self.values:
            where = f"node {_clean(node.name)!r} ({node.kind[:60]})"
            raise GgdqError(f"reads {name[:80]!r}, which nothing before it makes", where)
        return self.values[name]

    def add(self, name: str, operator: Operator, inputs: tuple[str, ...], weights: Mapping[str, Array]) -> str:
        """Add a node of ours. Gives its name."""
        node = Node(self.unique(name), operator, inputs, weights)
        shape = infer_shape(node, self.shapes)
        if prod(shape) > MAX_ELEMENTS:
            raise GgdqError(f"output of shape {shape} has more than {MAX_ELEMENTS} elements", f"node {name!r}")
        self.parameters += sum(array.size for array in weights.values())
        if self.parameters > 2 * MAX_ELEMENTS:
            raise GgdqError(f"with it the network has more than {2 * MAX_ELEMENTS} parameters", f"node {name!r}")
        self.shapes[node.name] = shape
        self.nodes.append(node)
        return node.name

    def unique(self, name: str) -> str:
        """The name, or the name with a number where a node has it already."""
        count, candidate = 1, name
        while candidate in self.shapes:
            count += 1
            candidate = f"{name}_{count}"
        return candidate

    def output(self, name: str) -> str:
        """The node that holds an output: channels last, or in ONNX's order."""
        value = self.values.get(name)
        if not isinstance(value, Tensor):
            raise GgdqError("does not depend on the network's input", f"output {name[:80]!r}")
        add: Add = lambda operator, source: self.add(f"{_clean(name)}_moved", operator, (source,), {})  # noqa: E731
        value = self.in_integers(name, value)
        orders = [plain_order(value.shape), *([channels_last(value.shape)] if value.shape[:1] == (1,) else [])]
        if value.listed is not None or value.order not in orders:
            value = plain(_MOVES, add, value)
        return value.node

    def in_integers(self, name: str, value: Tensor) -> Tensor:
        """An output that the file has as integers, as such."""
        if value.steps is None:
            return value
        node = FileNode("QuantizeLinear", f"{name}_integers", (), (), {}, None)
        return integers(self.operator(node, ()), value)


def _needed(file: OnnxFile) -> list[FileNode]:
    """The nodes that the outputs depend on, in the file's order, which has to be one in which they can be computed."""
    needed = set(file.outputs)
    kept = []
    for node in reversed(file.nodes):
        if any(name and name in needed for name in node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _has_channels_first(file: OnnxFile, name: str, rank: int) -> bool:
    """Are the channels of an input its first axis? What reads it tells, perhaps behind nodes that do not care."""
    seen = {name}
    for node in file.nodes:
        if any(one in seen for one in node.inputs):
            if node.kind in _CHANNELS_FIRST | _CHANNELS_LAST:
                return node.kind in _CHANNELS_FIRST
            if node.kind in _EITHER or node.kind in onnx_constants.FUNCTIONS:
                seen.update(node.outputs)
    return rank == _IMAGE


def _without_integers(operator: OnnxOperator) -> tuple[OnnxOperator, Steps | None]:
    """The operator with quantized inputs as real numbers, and the steps of its outputs, where it only moves values.

    Other operators than those that quantize compute with the integers themselves.
    """
    tensors = [value for value in operator.inputs if isinstance(value, Tensor)]
    steps = {tensor.steps for tensor in tensors}
    if steps == {None} or operator.kind in ("QuantizeLinear", "DequantizeLinear"):
        return operator, None
    moves = (
        operator.kind in _MOVE
        and len(steps) == 1
        and not (operator.kind == "Concat" and len(tensors) < len(operator.inputs))
    )
    inputs = tuple(
        value if not isinstance(value, Tensor) else replace(value, steps=None) if moves else integers(operator, value)
        for value in operator.inputs
    )
    return replace(operator, inputs=inputs), steps.pop() if moves else None


def _check_integers(operator: OnnxOperator, types: Sequence[int]) -> None:
    """Refuse arithmetic that differs from that of real numbers: quotients of integers, and sums that may wrap."""
    from onnx import TensorProto

    names = [TensorProto.DataType.Name(kind) for kind in types]
    short = any(name in ("INT8", "UINT8", "INT16", "UINT16") for name in names)
    if (short and operator.kind in _WRAPS) or (operator.kind in _TRUNCATES and any("INT" in name for name in names)):
        raise operator.error("computes with integers", "cast its inputs to float32")


def _check_attributes(operator: OnnxOperator) -> None:
    """Refuse attributes that were not looked at, unless they say what is so without them."""
    from onnx import defs, helper

    ignored = _NO_MATTER.get(operator.kind, frozenset())
    for key in sorted(operator.attributes.keys() - operator.attributes.seen - ignored):
        known = defs.get_schema(operator.kind, operator.opset, "").attributes.get(key)
        stored = known.default_value if known is not None else None
        default = helper.get_attribute_value(stored) if stored is not None and stored.type else None
        default = default.decode() if isinstance(default, bytes) else default
        if default is None or operator.attributes[key] != default:
            value = str(operator.attributes[key])[:60]
            raise operator.error(f"its attribute {key[:60]} = {value} is not supported", "leave it out")


def _unsupported(operator: OnnxOperator) -> GgdqError:
    return operator.error("this operator is not supported", _INSTEAD.get(operator.kind, SEE_LIST))


def _clean(name: str) -> str:
    """A name with nothing in it that could end a comment or a string, wherever it is printed."""
    return re.sub(r"[^A-Za-z0-9_.\-/]", "_", name).strip("/")[:96] or "_"
