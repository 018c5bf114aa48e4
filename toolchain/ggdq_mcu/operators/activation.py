"""Functions of one value: sigmoid, tanh, leaky ReLU and their kind, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.bounds import Bounds
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.numerics import circular, functions
from ggdq_mcu.operators.affine import affine_tensor
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.log_softmax import LogSoftmax
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.keras_activation import OPERATIONS, TABLES, Function, parse, parse_operation
from ggdq_mcu.sources.tflite import CLIPS, TFLiteOperator
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_OF_TFLITE: Mapping[str, str] = {
    "ABS": "absolute",
    "CEIL": "ceiling",
    "COS": "cosine",
    "FLOOR": "floor",
    "LOG": "logarithm",
    "ROUND": "round",
    "RSQRT": "reciprocal_square_root",
    "SIN": "sine",
    "SQRT": "square_root",
    "ELU": "elu",
    "EXP": "exponential",
    "GELU": "gelu",
    "HARD_SWISH": "hard_silu",
    "LEAKY_RELU": "leaky_relu",
    "LOGISTIC": "sigmoid",
    "TANH": "tanh",
}
_SEGMENTS = 512  # of the 16-bit table, 128 input values each


def _power(x: Array, exponent: float) -> Array:
    """x ** exponent; without numbers that are not real or not finite."""
    base = np.maximum(x, 0) if exponent % 1 else x
    base = np.where(base == 0, 1e-30, base) if exponent < 0 else base
    size = functions.power(np.abs(base), exponent)
    return np.where((base < 0) & (exponent % 2 == 1), -size, size)


FUNCTIONS: Mapping[str, Callable[[Array, float], Array]] = {
    "linear": lambda x, _: x,
    "sigmoid": lambda x, _: functions.sigmoid(x),
    "tanh": lambda x, _: functions.tanh(x),
    "leaky_relu": lambda x, slope: np.where(x < 0, slope * x, x),
    "thresholded_relu": lambda x, threshold: np.where(x <= threshold, 0, x),
    "elu": lambda x, alpha: np.where(x < 0, alpha * functions.expm1(np.minimum(x, 0)), x),
    "selu": lambda x, _: (
        1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * functions.expm1(np.minimum(x, 0)), x)
    ),
    "gelu": lambda x, _: 0.5 * x * (1 + functions.erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x, _: 0.5 * x * (1 + functions.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x * x * x))),
    "silu": lambda x, _: x * functions.sigmoid(x),
    "softplus": lambda x, _: functions.softplus(x),
    "log_sigmoid": lambda x, _: -functions.softplus(-x),
    "mish": lambda x, _: x * functions.tanh(functions.softplus(x)),
    "softsign": lambda x, _: x / (1 + np.abs(x)),
    "hard_sigmoid": lambda x, slope: np.clip(x * (slope or 1 / 6) + 0.5, 0, 1),
    "hard_silu": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "exponential": lambda x, _: functions.exp(np.minimum(x, 700)),
    "erf": lambda x, _: functions.erf(x),
    "absolute": lambda x, _: np.abs(x),
    "square_root": lambda x, _: np.sqrt(np.maximum(x, 0)),
    "logarithm": lambda x, _: functions.log(np.maximum(x, 1e-30)),
    "reciprocal_square_root": lambda x, _: 1 / np.sqrt(np.maximum(x, 1e-30)),
    "reciprocal": lambda x, _: 1 / np.where(x == 0, 1e-30, x),
    "sine": lambda x, _: circular.sin(x),
    "cosine": lambda x, _: circular.cos(x),
    "arctangent": lambda x, _: circular.arctan(x),
    "arcsinh": lambda x, _: circular.arcsinh(x),
    "floor": lambda x, _: np.floor(x),
    "negative": lambda x, _: -x,
    "square": lambda x, _: x * x,
    "ceiling": lambda x, _: np.ceil(x),
    "round": lambda x, _: np.rint(x),
    "sign": lambda x, _: np.sign(x),
    "reciprocal_or_zero": lambda x, _: np.where(x == 0, 0, 1 / np.where(x == 0, 1, x)),
    "reciprocal_root": lambda x, _: 1 / np.sqrt(np.maximum(x, 1e-30)),
    "power": _power,
    "modulo": np.mod,
    "truncate": lambda x, _: np.trunc(x),
    "tangent": lambda x, _: circular.tan(x),
    "hyperbolic_cosine": lambda x, _: circular.cosh(np.clip(x, -700, 700)),
    "hyperbolic_sine": lambda x, _: circular.sinh(np.clip(x, -700, 700)),
    "exponential_less_1": lambda x, _: functions.expm1(np.minimum(x, 700)),
    "exponential_of_2": lambda x, _: functions.exp2(np.minimum(x, 1000)),
    "celu": lambda x, alpha: np.where(x < 0, alpha * functions.expm1(np.minimum(x, 0) / (alpha or 1)), x),
    "hard_shrink": lambda x, threshold: np.where(np.abs(x) > threshold, x, 0),
    "soft_shrink": lambda x, threshold: np.sign(x) * np.maximum(np.abs(x) - threshold, 0),
    "tanh_shrink": lambda x, _: x - functions.tanh(x),
    "squareplus": lambda x, b: (x + np.sqrt(x * x + b)) / 2,
    "sparse_plus": lambda x, _: np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x)),
    "equal": lambda x, number: np.where(x == number, 1, 0),
    "not_equal": lambda x, number: np.where(x != number, 1, 0),
    "greater": lambda x, number: np.where(x > number, 1, 0),
    "greater_equal": lambda x, number: np.where(x >= number, 1, 0),
    "less": lambda x, number: np.where(x < number, 1, 0),
    "less_equal": lambda x, number: np.where(x <= number, 1, 0),
}
#: ONNX's numbers of floating types, of integers and of truth values.
_FLOATING, _INTEGERS, _TRUTH = (1, 10, 11, 16), (2, 3, 4, 5, 6, 7, 12, 13), 9
#: Functions whose values are 0 and 1.
TRUTHS = ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")
SIGMOIDS = ("sigmoid", "hard_sigmoid")
_OF_ONNX: Mapping[str, str] = {
    "Abs": "absolute",
    "Asinh": "arcsinh",
    "Atan": "arctangent",
    "Ceil": "ceiling",
    "Cos": "cosine",
    "Floor": "floor",
    "Round": "round",
    "Sign": "sign",
    "Sin": "sine",
    "Celu": "elu",
    "Elu": "elu",
    "Erf": "erf",
    "Exp": "exponential",
    "Gelu": "gelu",
    "HardSwish": "hard_silu",
    "LeakyRelu": "leaky_relu",
    "Log": "logarithm",
    "Mish": "mish",
    "Reciprocal": "reciprocal",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Sqrt": "square_root",
    "Swish": "silu",
    "Tanh": "tanh",
    "ThresholdedRelu": "thresholded_relu",
}
_ONNX_ALPHA: Mapping[str, float] = {"Celu": 1.0, "Elu": 1.0, "LeakyRelu": 0.01, "ThresholdedRelu": 1.0}


def from_keras(layer: KerasLayer) -> list[Node]:
    """Activation, ReLU, LeakyReLU, ELU and their kind: a clip, a softmax or a table."""
    layer.source  # noqa: B018  one input only
    return [layer.node(_operator(parse(layer)))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Activation functions called as operations."""
    layer.source  # noqa: B018  one input only
    return [layer.node(_operator(parse_operation(layer)))]


def with_activation(
    layer: KerasLayer, operator: Operator, weights: Mapping[str, Array], inputs: tuple[str, ...] = ()
) -> list[Node]:
    """The nodes of a layer with ``operator`` and its inline activation.

    A clip is fused into the operator; any other function makes a node NAME after a node NAME_linear.
    """
    function = parse(layer)
    inputs = inputs or (layer.source,)
    if function.name == "clip":
        return [Node(layer.name, replace(operator, low=function.low, high=function.high), inputs, weights)]
    linear = Node(layer.auxiliary("linear"), operator, inputs, weights)
    return [linear, Node(layer.name, _operator(function), (linear.name,))]


def activation_node(layer: KerasLayer, source: str) -> Node:
    """A layer's inline activation as the node NAME, which reads ``source``; passes remove one that does nothing."""
    return Node(layer.name, _operator(parse(layer)), (source,))


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """ABS, CEIL, COS, ELU, EXP, FLOOR, GELU (exact or by tanh), HARD_SWISH, LEAKY_RELU, LOG, LOGISTIC, ROUND, RSQRT, SIN, SQRT
    and TANH, as tables."""
    function, parameter = _OF_TFLITE[op.kind], 0.0
    if op.kind == "ELU":
        parameter = 1.0
    elif op.kind == "LEAKY_RELU":
        parameter = op.number("Alpha", 0.0)
    elif op.kind == "GELU" and op.flag("Approximate"):
        function = "gelu_tanh"
    return [Node(op.name, Activation(function, parameter), (op.source,))]


def from_tflite_not(op: TFLiteOperator) -> list[Node]:
    """LOGICAL_NOT."""
    return [Node(op.name, Activation("equal"), (op.source,))]


def from_tflite_cast(op: TFLiteOperator) -> list[Node]:
    """CAST: to real numbers nothing changes, to integers values are truncated, to truth values they are compared with 0."""
    before, after = op.data.dtype.kind, op.outputs[0].dtype.kind
    if after == "f" or before in (after, "b"):
        return []
    return [Node(op.name, Activation("not_equal" if after == "b" else "truncate"), (op.source,))]


def fused(op: TFLiteOperator, nodes: list[Node]) -> list[Node]:
    """The nodes of an operator of TFLite and its fused activation, which is put into the last of them where it can be."""
    *before, last = nodes
    if op.activation == "NONE":
        return nodes
    if op.activation not in CLIPS and op.activation != "TANH":
        raise op.error(
            f"fused activation {op.activation} is not supported", "use NONE, RELU, RELU6, RELU_N1_TO_1 or TANH"
        )
    low, high = CLIPS.get(op.activation, CLIPS["NONE"])
    if op.activation in CLIPS and last.operator.fuses_clip:
        return [*before, replace(last, operator=replace(last.operator, low=low, high=high))]
    function = Clip(low=low, high=high) if op.activation in CLIPS else Activation("tanh")
    linear = replace(last, name=op.auxiliary("linear"))
    return [*before, linear, Node(op.name, function, (linear.name,))]


def _operator(function: Function) -> Operator:
    if function.name == "clip":
        return Clip(low=function.low, high=function.high)
    if function.name in ("softmax", "log_softmax"):
        return Softmax() if function.name == "softmax" else LogSoftmax()
    return Activation(function.name, function.parameter, function.slope, low=function.low, high=function.high)


def from_onnx(op: OnnxOperator) -> Tensor:
    """Functions of one value, as tables; Gelu exact or by tanh, Celu and Swish with alpha 1, Selu with its usual numbers;
    Sqrt of a negative number is 0, where ONNX has NaN, which integers lack."""
    tensor, function, parameter = op.tensor(), _OF_ONNX[op.kind], 0.0
    if op.kind in _ONNX_ALPHA:
        parameter = op.number("alpha", _ONNX_ALPHA[op.kind])
    elif op.kind == "Gelu" and op.text("approximate", "none") != "none":
        function = "gelu_tanh"
    usual = {"Celu": {"alpha": 1.0}, "Swish": {"alpha": 1.0}, "Selu": {"alpha": 1.67326324, "gamma": 1.05070102}}
    for key, value in usual.get(op.kind, {}).items():
        if abs(op.number(key, value) - value) > 1e-5:
            raise op.error(f"{key} {op.number(key):g} is not supported", f"use {key} {value:g}")
    return tensor.of(op.add(Activation(function, parameter), tensor.node))


def from_onnx_cast(op: OnnxOperator) -> Tensor:
    """Cast: to truth values 0 and 1, to integers by truncating (in their range), to a floating type for nothing."""
    tensor, kind = op.tensor(), op.integer("to")
    if kind in _FLOATING:
        return tensor
    if kind not in _INTEGERS and kind != _TRUTH:
        raise op.error(f"casts to type {kind}, which is not supported", "cast to float32")
    return tensor.of(op.add(Activation("not_equal" if kind == _TRUTH else "truncate"), tensor.node))


def from_onnx_hard_sigmoid(op: OnnxOperator) -> Tensor:
    """HardSigmoid: alpha * x + beta, and a clip to 0..1 that costs nothing behind a linear layer."""
    scaled = affine_tensor(op, op.tensor(), op.number("alpha", 0.2), op.number("beta", 0.5))
    return scaled.of(op.add(Clip(low=0.0, high=1.0), scaled.node))


@dataclass(frozen=True)
class Activation(Operator):
    """``function`` (a key of FUNCTIONS) of every value, then the clip; ``parameter`` is its slope, alpha or threshold.

    A ``slope`` beside the threshold adds slope * min(x - parameter, 0) before the clip.
    8 bits: q_out = table[q - low]. 16 bits, with u = q + 32768, i = u >> 7 and t = u & 127:
        q_out = table[i] + (((table[i + 1] - table[i]) * t + 64) >> 7)
    """

    function: str
    parameter: float = 0.0
    slope: float = 0.0

    fuses_clip: ClassVar[bool] = True
    is_elementwise: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = dict.fromkeys(
        ("Activation", "ELU", "LeakyReLU", "ReLU", "ThresholdedReLU"), from_keras
    )
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = dict.fromkeys((*OPERATIONS, *TABLES), from_operation)
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(_OF_TFLITE, from_tflite),
        "CAST": from_tflite_cast,
        "LOGICAL_NOT": from_tflite_not,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"LOGICAL_NOT": moving(from_tflite_not)}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(_OF_ONNX, from_onnx),
        "Cast": from_onnx_cast,
        "HardSigmoid": from_onnx_hard_sigmoid,
    }

    def _details(self) -> str:
        return (
            f" {self.function}"
            + (f" {self.parameter:g}" if self.parameter else "")
            + (f" slope {self.slope:g}" if self.slope else "")
        )

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self._of(inputs[0]).astype(np.result_type(inputs[0], np.float32))

    def _of(self, x: Array) -> Array:
        """The function of real values, clipped."""
        value = FUNCTIONS[self.function](x, self.parameter)
        if self.slope:
            value = value + self.slope * np.minimum(x - self.parameter, 0)
        return self.clip(value)

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format | None:
        kind = type(inputs[0])
        if self.function in TRUTHS:
            return kind(16, True, 1.0) if bits > 8 else kind(8, False, 1.0)
        if self.function in SIGMOIDS:
            return kind(16, True, 2.0**-15) if bits > 8 else kind(8, False, 2.0**-8)
        if self.function in ("tanh", "softsign"):
            return kind(16, True, 2.0**-15) if bits > 8 else kind(8, True, 2.0**-7)
        return None

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        source = inputs[0]
        points = sampled() if source.bits > 8 else np.arange(source.low, source.high + 1)
        return {"table": output.quantize(self._of(source.dequantize(points)))}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        q, table = inputs[0].astype(np.int64), constants["table"].astype(np.int64)
        if formats[0].bits <= 8:
            result: Array = table[q - formats[0].low].astype(output.dtype)
            return result
        final: Array = interpolated(q, table).astype(output.dtype)
        return final

    def bounds(
        self,
        inputs: Sequence[Bounds],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        shapes: Sequence[Shape],
    ) -> Bounds:
        source = formats[0]
        if source.bits > 8:
            return super().bounds(inputs, constants, formats, output, shapes)
        table, places = constants["table"].astype(np.int64), np.arange(len(constants["table"]))
        rows = np.where(places[:, None] <= places, table, table.max())  # from each first place on
        least = np.minimum.accumulate(rows, axis=1)
        most = np.maximum.accumulate(np.where(places[:, None] <= places, table, table.min()), axis=1)
        first, last = (end.astype(np.int64) - source.low for end in inputs[0])
        return Bounds(*(values[first, last].astype(output.dtype) for values in (least, most)))

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...] | None:
        return (np.arange(shapes[0][-1]),) if shapes[0] else None

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (kernel,) = super().kernels(layer)
        if layer.sources[0].bits <= 8:
            return [kernel]
        # What interpolates reads 16 bits, whatever the output's type.
        table = kernel.arrays["table"].astype(np.int16)
        return [replace(kernel, arrays={"table": table}, routines=(Routine("routines/interpolate.c.j2"),))]


def sampled() -> Array:
    """The integers whose values a 16-bit table holds; the last is beyond the type."""
    return np.arange(_SEGMENTS + 1) * (65536 // _SEGMENTS) - 32768


def interpolated(q: Array, table: Array) -> Array:
    """Values of a 16-bit table, whose type is int64 as that of ``q``, between those that it holds."""
    position = q + 32768
    index, part = position >> 7, position & 127
    return np.asarray(table[index] + (((table[index + 1] - table[index]) * part + 64) >> 7))
