"""What do TensorFlow's operations mean? Those that Keras layers are traced into, as nodes of a graph."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import Shape, infer_shape
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size, same_padding
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.log_softmax import LogSoftmax
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.sources.keras import MAX_ELEMENTS

Array = NDArray[Any]
_SAVE_AS_KERAS = "save the model as .keras or .h5, which keep its layers"


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that does not depend on the input, the operation that made it, and the name of a variable in it."""

    value: Array
    made_by: str = ""
    inputs: tuple[Constant, ...] = ()
    variable: str = ""


@dataclass(frozen=True)
class Tensor:
    """The value of a node of the graph, by its number."""

    node: int


@dataclass(frozen=True, eq=False)
class Scaled:
    """A tensor times a constant, by channel: the first half of a batch normalisation."""

    tensor: Tensor
    scale: Constant


Value = Constant | Tensor | Scaled


@dataclass(frozen=True)
class Operation:
    """One operation: its kind, its name, the scope of the layer that it belongs to, its attributes.

    ``alone`` tells of each input whether nothing else reads it, now or later, so that it may be changed in place.
    """

    kind: str
    name: str
    scope: str
    attributes: Mapping[str, Any]
    alone: tuple[bool, ...]

    def error(self, what: str, fix: str = _SAVE_AS_KERAS) -> GgdqError:
        """An error that names this operation."""
        return GgdqError(what, f"operation {self.name[:80]!r} ({self.kind})", fix)

    def number(self, key: str, default: float) -> float:
        """A real attribute; what has its default value may be left out."""
        return float(self.attributes[key].f) if key in self.attributes else default

    def image_size(self, key: str) -> Size:
        """Height and width of an attribute that has a number for each axis, NHWC."""
        if self.attributes["data_format"].s not in (b"", b"NHWC"):
            raise self.error("data format NCHW is not supported", "train or convert it with channels_last")
        numbers = list(self.attributes[key].list.i) or [1, 1, 1, 1]
        if len(numbers) != 4 or numbers[0] != 1 or numbers[3] != 1 or min(numbers) < 1:
            raise self.error(f"{key} {numbers} is not supported")
        return Size(numbers[1], numbers[2])

    def padding(self, image: Shape, kernel: Size, strides: Size, dilation: Size) -> Padding:
        """Explicit padding."""
        kind = self.attributes["padding"].s
        if kind == b"SAME":
            return same_padding(Size(image[0], image[1]), kernel, strides, dilation)
        if kind != b"VALID":
            raise self.error(f"padding {kind!r} is not supported")
        return Padding()


@dataclass(frozen=True)
class _Draft:
    """A node before it has a name: the scope that it comes from, and the layer's own name where a variable tells it."""

    operator: Operator
    inputs: tuple[int, ...]
    weights: Mapping[str, Array]
    scope: str
    layer: str


class Translator:
    """Turns operations into nodes, one after the other."""

    def __init__(self) -> None:
        self.drafts: list[_Draft] = []
        self.shapes: list[Shape] = []
        self.placeholders: dict[str, Tensor] = {}

    def input(self, name: str, shape: Sequence[int]) -> None:
        """Declare an input of the network, with its batch axis."""
        if len(shape) < 2 or min(shape[1:]) < 1:
            raise GgdqError(f"the input's shape {tuple(shape)} is not fixed", f"input {name!r}", "give it fixed sizes")
        layer = re.sub(r"^serving_default_", "", name)
        self.placeholders[name] = self.add(Input(tuple(shape[1:])), (), {}, layer, layer)

    def placeholder(self, name: str) -> Tensor:
        """The value of an input."""
        if name not in self.placeholders:
            raise GgdqError(f"placeholder {name[:80]!r} is no input of the signature")
        return self.placeholders[name]

    def add(
        self,
        operator: Operator,
        inputs: tuple[Tensor, ...],
        weights: Mapping[str, Array],
        scope: str,
        layer: str = "",
    ) -> Tensor:
        """Add a node."""
        numbers = tuple(tensor.node for tensor in inputs)
        probe = Node(scope, operator, tuple(map(str, numbers)))
        shape = infer_shape(probe, {str(number): self.shapes[number] for number in numbers})
        if prod(shape) > MAX_ELEMENTS:
            raise GgdqError(f"output of shape {shape} has more than {MAX_ELEMENTS} elements", f"layer {scope!r}")
        self.drafts.append(_Draft(operator, numbers, weights, scope, layer))
        self.shapes.append(shape)
        return Tensor(len(self.drafts) - 1)

    def translate(self, operation: Operation, inputs: Sequence[Value]) -> Value:
        """The value of an operation, from the values that it reads."""
        if inputs and all(isinstance(value, Constant) for value in inputs) and operation.kind in _CONSTANTS:
            constants = tuple(value for value in inputs if isinstance(value, Constant))
            value = _CONSTANTS[operation.kind](operation, *(constant.value for constant in constants))
            variable = next((constant.variable for constant in constants if constant.variable), "")
            kept = operation.kind in _PASSED
            return replace(constants[0], value=value) if kept else Constant(value, operation.kind, constants, variable)
        if operation.kind in (*_PASSED, "IdentityN") and inputs:
            return inputs[0]
        handler = _HANDLERS.get(operation.kind)
        if handler is None:
            raise operation.error("is not supported in a SavedModel")
        return handler(self, operation, *inputs)

    def shape(self, tensor: Tensor) -> Shape:
        """Shape of a node's value, without the batch axis."""
        return self.shapes[tensor.node]

    def may_change(self, operation: Operation, tensor: Tensor) -> bool:
        """Does nobody but the operation read the tensor, which is its first input?"""
        return operation.alone[0] and not any(tensor.node in draft.inputs for draft in self.drafts)

    def graph(self, name: str, outputs: Sequence[Value]) -> Graph:
        """The graph of all that was added."""
        names = _names(self.drafts)
        nodes = tuple(
            Node(names[number], draft.operator, tuple(names[source] for source in draft.inputs), draft.weights)
            for number, draft in enumerate(self.drafts)
        )
        if not all(isinstance(output, Tensor) for output in outputs):
            raise GgdqError("an output of the network does not depend on its input")
        return Graph(name, nodes, tuple(names[output.node] for output in outputs if isinstance(output, Tensor)))


def _names(drafts: Sequence[_Draft]) -> list[str]:
    """Names of the nodes: the layer's for the last node of a layer, with a word for what it is for those before it."""
    plain = [draft.scope.rpartition("/")[2] for draft in drafts if draft.operator.name != "input"]
    # Keras 3 traces a model under names with one more number at their end, every one of them.
    strip = bool(plain) and all(re.search(r"_\d+$", scope) for scope in plain)
    last = {draft.scope: number for number, draft in enumerate(drafts)}
    by_scope = {draft.scope: draft.layer for draft in reversed(drafts) if draft.layer}
    names: list[str] = []
    for number, draft in enumerate(drafts):
        scope = draft.scope.rpartition("/")[2]
        layer = by_scope.get(draft.scope) or (re.sub(r"_\d+$", "", scope) if strip else scope)
        base = re.sub(r"[^A-Za-z0-9_.\-/]", "_", layer)[:96] or "_"
        if last[draft.scope] != number:
            base += {"depthwise_conv2d": "_depthwise", "max_pool2d": "_pooled", "average_pool2d": "_pooled"}.get(
                draft.operator.name, "_linear"
            )
        count, candidate = 1, base
        while candidate in names:
            count += 1
            candidate = f"{base}_{count}"
        names.append(candidate)
    return names


def _tensor(operation: Operation, value: Value) -> Tensor:
    if not isinstance(value, Tensor):
        raise operation.error("is not supported with these arguments")
    return value


def _constant(operation: Operation, value: Value, dimensions: int | None = None) -> Constant:
    if not isinstance(value, Constant) or (dimensions is not None and value.value.ndim != dimensions):
        raise operation.error("is not supported with these arguments")
    return value


def _owner(constant: Constant) -> str:
    """Name of the layer that a variable belongs to: "sequential/conv2d/kernel" is conv2d's."""
    return constant.variable.rpartition("/")[0].rpartition("/")[2]


def _convolution(to: Translator, operation: Operation, image: Value, kernel: Value) -> Value:
    source, weights = _tensor(operation, image), _constant(operation, kernel, 4)
    shape, w = to.shape(source), weights.value.astype(np.float32)
    size, strides, dilation = Size(*w.shape[:2]), operation.image_size("strides"), operation.image_size("dilations")
    padding = operation.padding(shape, size, strides, dilation)
    operator: Linear
    if operation.kind == "Conv2D":
        if shape[2] % w.shape[2]:
            raise operation.error(f"kernel {w.shape} does not fit {shape[2]} channels")
        operator = Conv2D(size, w.shape[3], strides, padding, dilation, shape[2] // w.shape[2])
    else:
        operator = DepthwiseConv2D(size, w.shape[3], strides, padding, dilation)
    return to.add(operator, (source,), {"kernel": w}, operation.scope, _owner(weights))


def _product(to: Translator, operation: Operation, a: Value, b: Value) -> Value:
    source, weights = _tensor(operation, a), _constant(operation, b, 2)
    if operation.attributes["transpose_a"].b or len(to.shape(source)) != 1:
        raise operation.error("is not supported with these arguments")
    kernel = weights.value.T if operation.attributes["transpose_b"].b else weights.value
    if kernel.shape[0] != to.shape(source)[0]:
        raise operation.error(f"kernel {kernel.shape} does not fit {to.shape(source)[0]} inputs")
    w = np.ascontiguousarray(kernel, np.float32)
    return to.add(Dense(w.shape[1]), (source,), {"kernel": w}, operation.scope, _owner(weights))


def _bias(to: Translator, operation: Operation, a: Value, b: Value) -> Value:
    source, bias = _tensor(operation, a), _constant(operation, b)
    draft, values = to.drafts[source.node], np.ravel(bias.value).astype(np.float32)
    if not isinstance(draft.operator, Linear) or "bias" in draft.weights or not to.may_change(operation, source):
        raise operation.error("is not supported but for the bias of a linear layer")
    if values.size != to.shape(source)[-1]:
        raise operation.error(f"{values.size} values do not fit {to.shape(source)[-1]} channels")
    to.drafts[source.node] = replace(draft, weights={**draft.weights, "bias": values})
    return source


def _clip(to: Translator, operation: Operation, value: Value, low: float, high: float) -> Value:
    """A clip, fused into the node before it where that belongs to the same layer."""
    source = _tensor(operation, value)
    draft = to.drafts[source.node]
    same = draft.scope == operation.scope and draft.operator.fuses_clip and to.may_change(operation, source)
    if same and (draft.operator.low, draft.operator.high) == (-inf, inf):
        to.drafts[source.node] = replace(draft, operator=replace(draft.operator, low=low, high=high))
        return source
    return to.add(Clip(low=low, high=high), (source,), {}, operation.scope)


def _bounded(to: Translator, operation: Operation, a: Value, b: Value) -> Value:
    """Minimum and Maximum with a number."""
    bound = float(_constant(operation, b, 0).value)
    low, high = (-inf, bound) if operation.kind == "Minimum" else (bound, inf)
    return _clip(to, operation, a, low, high)


def _function(name: str, parameter: Callable[[Operation], float] = lambda _: 0.0) -> Callable[..., Value]:
    def handler(to: Translator, operation: Operation, value: Value) -> Value:
        source = _tensor(operation, value)
        return to.add(Activation(name, parameter(operation)), (source,), {}, operation.scope)

    return handler


def _of_last_axis(operator: Operator) -> Callable[..., Value]:
    def handler(to: Translator, operation: Operation, value: Value) -> Value:
        return to.add(operator, (_tensor(operation, value),), {}, operation.scope)

    return handler


def _pool(to: Translator, operation: Operation, value: Value) -> Value:
    source = _tensor(operation, value)
    size, strides = operation.image_size("ksize"), operation.image_size("strides")
    kind = MaxPool2D if operation.kind == "MaxPool" else AveragePool2D
    padding = operation.padding(to.shape(source), size, strides, Size(1, 1))
    return to.add(kind(size, strides, padding), (source,), {}, operation.scope)


def _reduce(to: Translator, operation: Operation, value: Value, axes: Value) -> Value:
    source = _tensor(operation, value)
    shape = to.shape(source)
    if sorted(np.ravel(_constant(operation, axes).value).tolist()) != [1, 2] or len(shape) != 3:
        raise operation.error("is not supported but over height and width")
    kind = MaxPool2D if operation.kind == "Max" else AveragePool2D
    pooled = to.add(kind(Size(*shape[:2]), Size(*shape[:2])), (source,), {}, operation.scope)
    if operation.attributes["keep_dims"].b:
        return pooled
    return to.add(Reshape((shape[2],)), (pooled,), {}, operation.scope)


def _pad(to: Translator, operation: Operation, value: Value, edges: Value) -> Value:
    source, sizes = _tensor(operation, value), _constant(operation, edges, 2).value.astype(int)
    if sizes.shape != (4, 2) or np.any(sizes[[0, 3]]) or np.any(sizes < 0):
        raise operation.error("is not supported but for height and width")
    padding = Padding(*(int(size) for size in sizes[1:3].ravel()))
    return to.add(ZeroPadding2D(padding), (source,), {}, operation.scope)


def _reshape(to: Translator, operation: Operation, value: Value, target: Value) -> Value:
    source, sizes = _tensor(operation, value), [int(size) for size in np.ravel(_constant(operation, target).value)]
    count = prod(to.shape(source))
    rest = sizes[1:]
    if sizes[0] == -1 and -1 not in rest and prod(rest) == count:
        return to.add(Reshape(tuple(rest)), (source,), {}, operation.scope)
    known = prod(size for size in rest if size != -1)
    if rest.count(-1) != 1 or known < 1 or count % known:
        raise operation.error(f"cannot reshape {to.shape(source)} to {sizes}")
    shape = tuple(count // known if size == -1 else size for size in rest)
    return to.add(Reshape(shape), (source,), {}, operation.scope)


def _shape(to: Translator, operation: Operation, value: Value) -> Value:
    """The shape of a tensor as a constant, the batch being -1."""
    return Constant(np.array([-1, *to.shape(_tensor(operation, value))]))


def _multiply(to: Translator, operation: Operation, a: Value, b: Value) -> Value:
    if isinstance(a, Constant):
        a, b = b, a
    if isinstance(a, Tensor) and isinstance(b, Constant):
        return a if np.all(b.value == 1) else Scaled(a, b)
    for x, y in ((a, b), (b, a)):
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            gate = to.drafts[y.node]
            if gate.operator == Activation("sigmoid") and gate.inputs == (x.node,) and operation.alone[y is b]:
                to.drafts[y.node] = replace(gate, operator=Activation("silu"))
                return y
    raise operation.error("of two tensors is not supported")


def _sum(to: Translator, operation: Operation, a: Value, b: Value) -> Value:
    if isinstance(a, Constant):
        a, b, operation = b, a, replace(operation, alone=operation.alone[::-1])
    if isinstance(a, Scaled):
        return _normalization(to, operation, a, b)
    if isinstance(b, Constant):
        return _bias(to, operation, a, b)
    return to.add(Add(), (_tensor(operation, a), _tensor(operation, b)), {}, operation.scope)


def _normalization(to: Translator, operation: Operation, scaled: Scaled, offset: Value) -> Value:
    """Batch normalisation written out: x * (gamma / sqrt(variance + epsilon)) + (beta - mean * the same)."""
    scale, shift = scaled.scale, _constant(operation, offset)
    weights: dict[str, Constant] = {}
    root = scale
    if scale.made_by == "Mul":
        root, weights["gamma"] = sorted(scale.inputs, key=lambda one: one.made_by != "Rsqrt")
    centre = shift
    if shift.made_by == "Sub":
        weights["beta"], centre = shift.inputs
    if root.made_by != "Rsqrt" or centre.made_by != "Mul" or scale not in centre.inputs:
        raise operation.error("by constants is not supported but as batch normalisation")
    mean = next(one for one in centre.inputs if one is not scale)
    # Without beta it is -mean * scale, with it beta - mean * scale.
    if (mean.made_by == "Neg") == ("beta" in weights) or root.inputs[0].made_by not in ("Add", "AddV2"):
        raise operation.error("by constants is not supported but as batch normalisation")
    weights["mean"] = mean if "beta" in weights else mean.inputs[0]
    variance, epsilon = sorted(root.inputs[0].inputs, key=lambda one: -one.value.size)
    weights["variance"] = variance
    arrays = {name: np.ravel(constant.value).astype(np.float32) for name, constant in weights.items()}
    return _add_normalization(to, operation, scaled.tensor, arrays, float(np.ravel(epsilon.value)[0]), _owner(variance))


def _fused_normalization(
    to: Translator, operation: Operation, x: Value, gamma: Value, beta: Value, mean: Value, variance: Value
) -> Value:
    # An attribute that has its default value may be left out, and the default is to train.
    if "is_training" not in operation.attributes or operation.attributes["is_training"].b:
        raise operation.error("is in training mode")
    constants = {"gamma": gamma, "beta": beta, "mean": mean, "variance": variance}
    found = {name: _constant(operation, value, 1) for name, value in constants.items()}
    arrays = {name: constant.value.astype(np.float32) for name, constant in found.items()}
    epsilon = operation.number("epsilon", 1e-4)
    return _add_normalization(to, operation, _tensor(operation, x), arrays, epsilon, _owner(found["variance"]))


def _add_normalization(
    to: Translator, operation: Operation, source: Tensor, arrays: dict[str, Array], epsilon: float, layer: str
) -> Value:
    channels = to.shape(source)[-1]
    if any(array.shape != (channels,) for array in arrays.values()) or np.any(arrays["variance"] + epsilon <= 0):
        raise operation.error(f"does not fit {channels} channels")
    return to.add(BatchNormalization(epsilon), (source,), arrays, operation.scope, layer)


def _slice(operation: Operation, value: Array, start: Array, stop: Array, stride: Array) -> Array:
    """Strided slice of one axis, as Keras takes sizes out of a shape."""
    if value.ndim != 1 or start.size != 1 or stride.size != 1 or stride.flat[0] == 0:
        raise operation.error("is not supported with these arguments")
    attributes = operation.attributes
    begin = None if attributes["begin_mask"].i & 1 else int(start.flat[0])
    if attributes["shrink_axis_mask"].i & 1:
        return np.asarray(value[int(start.flat[0])])
    end = None if attributes["end_mask"].i & 1 else int(stop.flat[0])
    return np.asarray(value[begin : end : int(stride.flat[0])])


_PASSED = ("Identity", "ReadVariableOp", "StopGradient", "PreventGradient", "Cast")
_CONSTANTS: Mapping[str, Callable[..., Array]] = {
    **dict.fromkeys(_PASSED, lambda _, x: x),
    "Add": lambda _, a, b: a + b,
    "AddV2": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Neg": lambda _, x: -x,
    "Rsqrt": lambda _, x: 1 / np.sqrt(x),
    "Reshape": lambda _, x, shape: x.reshape([int(size) for size in shape]),
    "Squeeze": lambda _, x: np.squeeze(x),
    "Pack": lambda _, *parts: np.stack(parts),
    "StridedSlice": _slice,
}
_HANDLERS: Mapping[str, Callable[..., Value]] = {
    "Conv2D": _convolution,
    "DepthwiseConv2dNative": _convolution,
    "MatMul": _product,
    "BiasAdd": _bias,
    "Relu": lambda to, operation, x: _clip(to, operation, x, 0.0, inf),
    "Relu6": lambda to, operation, x: _clip(to, operation, x, 0.0, 6.0),
    "Minimum": _bounded,
    "Maximum": _bounded,
    "LeakyRelu": _function("leaky_relu", lambda operation: operation.number("alpha", 0.2)),
    "Elu": _function("elu", lambda _: 1.0),
    "Selu": _function("selu"),
    "Sigmoid": _function("sigmoid"),
    "Tanh": _function("tanh"),
    "Softplus": _function("softplus"),
    "Softsign": _function("softsign"),
    "Exp": _function("exponential"),
    "Softmax": _of_last_axis(Softmax()),
    "LogSoftmax": _of_last_axis(LogSoftmax()),
    "MaxPool": _pool,
    "AvgPool": _pool,
    "Mean": _reduce,
    "Max": _reduce,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Mul": _multiply,
    "Add": _sum,
    "AddV2": _sum,
    "FusedBatchNormV3": _fused_normalization,
}
