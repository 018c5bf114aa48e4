"""Functions of one value in TFLite's arithmetic, as tables, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.numerics import circular, functions
from ggdq_mcu.operators.activation import Activation, from_tflite
from ggdq_mcu.operators.tflite_scale import factors_of, keep_wide
from ggdq_mcu.sources.tflite import CLIPS, TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import activation_range, away, multipliers, rounded, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, format_of, formats, kept, of_bytes

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedLayer

Array = NDArray[Any]
#: Option of a function of real numbers that stands between DEQUANTIZE and QUANTIZE.
THROUGH_REAL = "ThroughReal"
FUNCTIONS_KEPT = (
    "ABS", "CEIL", "COS", "ELU", "EXP", "FLOOR", "GELU", "LOG", "LOGISTIC", "RSQRT", "SIN", "TANH",
)  # fmt: skip
#: Functions that are kept between DEQUANTIZE and QUANTIZE alone, by what they are.
FUNCTIONS_OF_REAL: Mapping[str, str] = {
    "CAST": "truncate", "NEG": "negative", "ROUND": "round", "SQRT": "square_root", "SQUARE": "square",
}  # fmt: skip
_ONE, _HALF = np.float32(1), np.float32(0.5)
#: The functions in single precision, in the order of operations that TFLite's kernels have.
_SINGLE: Mapping[str, Callable[[Array], Array]] = {
    "elu": lambda x: np.where(x < 0, functions.expm1(x), x),
    "exponential": functions.exp,
    "gelu": lambda x: _HALF * x * functions.erfc(x * -np.float32(np.sqrt(0.5))),
    "gelu_tanh": lambda x: (
        _HALF * x * (_ONE + functions.tanh(np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * (x * x * x))))
    ),
    "absolute": np.abs,
    "ceiling": np.ceil,
    "cosine": circular.cos,
    "floor": np.floor,
    "logarithm": functions.log,
    "reciprocal_square_root": lambda x: _ONE / np.sqrt(x),
    "linear": lambda x: x,
    "negative": lambda x: -x,
    "round": np.rint,
    "square": lambda x: x * x,
    "square_root": np.sqrt,
    "truncate": np.trunc,
    "sine": circular.sin,
    "sigmoid": lambda x: _ONE / (_ONE + functions.exp(-x)),
    "tanh": functions.tanh,
}


def keep_scaled(op: TFLiteOperator) -> list[Kept]:
    """RELU and its kind, LEAKY_RELU, and QUANTIZE."""
    if op.flag(THROUGH_REAL):
        return _single(op, TFLiteActivation("linear"))
    if any(tensor.dtype.itemsize > 1 for tensor in (op.data, op.outputs[0])):
        return keep_wide(op)
    (source,), output = formats(op)
    u = np.arange(source.low, source.high + 1) - source.zero_point
    low, high = activation_range(op.kind if op.kind in CLIPS else "NONE", output)
    if op.micro and op.kind == "RELU6":  # its kernel takes the output to have the input's format
        low, high = activation_range(op.kind, source)
        return _tabled(op, TFLiteActivation("linear", low=0.0, high=6.0), u + source.zero_point, low, high)
    bounds = CLIPS.get(op.kind, CLIPS["NONE"])
    operator = TFLiteActivation("linear", low=bounds[0], high=bounds[1])
    slope = op.number("Alpha", 0.0) if op.kind == "LEAKY_RELU" else 1.0
    same, steep = factors_of(op, source, output, slope)
    values = scaled(u, *multipliers(same))
    if op.kind == "LEAKY_RELU":
        m, e = multipliers(abs(steep))
        values = np.where(u < 0, scaled(u, np.sign(steep).astype(np.int64) * m, e), values)
        operator = TFLiteActivation("leaky_relu", slope)
    return _tabled(op, operator, values + output.zero_point, low, high)


def keep_function(op: TFLiteOperator) -> list[Kept]:
    """ABS, ELU, EXP, GELU (exact or by tanh), LOG, LOGISTIC and TANH, and between DEQUANTIZE and QUANTIZE also CEIL,
    COS, FLOOR, RSQRT and SIN.
    """
    return _single(op, _function(op))


def keep_function_of_real(op: TFLiteOperator) -> list[Kept]:
    """NEG, ROUND, SQRT, SQUARE and CAST to integers and back, between DEQUANTIZE and QUANTIZE."""
    if not op.flag(THROUGH_REAL):
        raise op.error("is kept between DEQUANTIZE and QUANTIZE alone", WITHOUT)
    return _single(op, TFLiteActivation(FUNCTIONS_OF_REAL[op.kind]))


def _single(op: TFLiteOperator, operator: TFLiteActivation) -> list[Kept]:
    """A function in single precision, rounded half away from zero."""
    of_bytes(op)
    (source,), output = formats(op)
    x = np.float32(source.step) * (np.arange(source.low, source.high + 1) - source.zero_point).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = _SINGLE[operator.function](x)
        # Real numbers between DEQUANTIZE and QUANTIZE are divided, others multiplied by the inverse.
        step = np.float32(output.step)
        real = value / step if op.flag(THROUGH_REAL) else value * (_ONE / step)
    q = away(np.clip(np.nan_to_num(real, nan=-512), -512, 512)) + output.zero_point
    return _tabled(op, operator, q, output.low, output.high)


def keep_hard_swish(op: TFLiteOperator) -> list[Kept]:
    """HARD_SWISH."""
    of_bytes(op)
    (source,), output = formats(op)
    fine = np.float32(source.step) / np.float32(128)
    m, e = _half_multiplier(float(fine / np.float32(output.step)))
    if e > 0:
        raise op.error("its output's scale is finer than 1/128 of its input's, which cannot be kept", WITHOUT)
    u = (np.arange(source.low, source.high + 1) - source.zero_point) * 128
    gate = _gate(u, *_half_multiplier(float(fine / np.float32(3 / 32768))))
    value = np.trunc(gate * _doubled_high(u, m) / 32768).astype(np.int64)
    return _tabled(op, _function(op), rounded(value, -e) + output.zero_point, output.low, output.high)


def _tabled(op: TFLiteOperator, operator: TFLiteActivation, q: Array, low: int, high: int) -> list[Kept]:
    """The operator whose table is ``q``, limited."""
    return [kept(op, operator, {"table": np.clip(q, low, high).astype(format_of(op, op.outputs[0]).dtype)})]


def _function(op: TFLiteOperator) -> TFLiteActivation:
    operator = from_tflite(op)[0].operator
    assert isinstance(operator, Activation)
    return TFLiteActivation(operator.function, operator.parameter)


def _gate(u: Array, m: int, e: int) -> Array:
    """relu6(x + 3) / 6 with 15 bits behind the point; ``u`` times m * 2^(e - 15) is x / 3 with as many, saturated."""
    shifted = _saturated(u << max(e - 1, 0))
    third = _doubled_high(shifted, m)
    third = _saturated(third << 1) if e > 0 else rounded(third, -e)
    return np.asarray(third + 32768 >> 1)


def _half_multiplier(factor: float) -> tuple[int, int]:
    """A factor as m * 2^(e - 15) of 15 bits."""
    m, e = multipliers(factor)
    return min(int(m) + (1 << 15) >> 16, 32767), int(e)


def _doubled_high(x: Array, m: int) -> Array:
    """x * m / 2^15, half up, of numbers of 16 bits."""
    return np.asarray(x * m + (1 << 14) >> 15)


def _saturated(x: Array) -> Array:
    return np.asarray(np.clip(x, -32768, 32767))


@dataclass(frozen=True)
class TFLiteActivation(Activation):
    """A function of 8-bit values in TFLite's arithmetic: q_out = table[q - low].

    Clips and changes of the step are scaled as everywhere in TFLite; HARD_SWISH is x * gate in 16-bit fixed point; the
    others are computed in single precision and rounded half away from zero.
    """

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "LEAKY_RELU", "QUANTIZE"), keep_scaled),
        **dict.fromkeys(FUNCTIONS_KEPT, keep_function),
        **dict.fromkeys(FUNCTIONS_OF_REAL, keep_function_of_real),
        "HARD_SWISH": keep_hard_swish,
    }

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        return [replace(kernel, template="operators/activation.c.j2") for kernel in super().kernels(layer)]
