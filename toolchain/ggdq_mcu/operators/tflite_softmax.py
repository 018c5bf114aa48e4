"""Softmax in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.numerics import functions
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, multipliers, product, rounded
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, formats, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
_INTEGER_BITS = 5  # before the point of what is exponentiated
_SUM_BITS = 12  # before the point of the sum
_MOST_CLASSES = 4095  # so that the sum stays below 2^31


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """SOFTMAX over the last axis; the output has scale 1/256."""
    (source,), output = formats(op)
    share = float(output.step) * 2.0**output.bits
    near = share == 1 or (output.bits > 8 and abs(share - 1) < 1e-3)
    if source.bits != 8 or not near or output.zero_point != output.low:
        raise op.error(
            f"its output has another scale than 1/{1 << output.bits}, or its input more than 8 bits", WITHOUT
        )
    table = exponentials(op.number("Beta", 0.0) * float(np.float32(source.step)))
    return [kept(op, TFLiteSoftmax(), {"exponential": table})]


def exponentials(step: float) -> Array:
    """exp(-step * d) for d = 0..255 with 31 bits behind the point, int32; 0 where -step * d leaves 5 bits and a sign."""
    if not 0 < step < 1 << _INTEGER_BITS:
        raise ValueError(f"step {step}")
    factor = min(step * 2.0 ** (31 - _INTEGER_BITS), 2.0**31 - 1)
    m, e = multipliers(factor)
    radius = floor(((1 << _INTEGER_BITS) - 1) * 2.0 ** (31 - _INTEGER_BITS) / 2.0 ** int(e))
    d = np.arange(256)
    fixed = product(-np.minimum(d, radius) << e, m)
    return np.where(d <= radius, _exponential(fixed), 0).astype(np.int32)


def _exponential(x: Array) -> Array:
    """exp(x) of fixed-point x <= 0 with 26 bits behind the point: a polynomial of the fraction, times powers for bits."""
    quarter = 1 << 24
    fraction = (x & (quarter - 1)) - quarter
    result = _near_zero(fraction << _INTEGER_BITS)
    rest = fraction - x
    for power in range(-2, _INTEGER_BITS):
        step = floor(functions.exp(-(2.0**power)) * 2.0**31 + 0.5)
        result = np.where(rest & (1 << (26 + power)), product(result, step), result)
    return np.asarray(np.where(x == 0, LARGEST, result))


def _near_zero(x: Array) -> Array:
    """exp(x) for -1/4 <= x < 0, 31 bits behind the point: the series to the fourth order around -1/8."""
    centre, third = floor(functions.exp(-1 / 8) * 2.0**31 + 0.5), floor(2.0**31 / 3 + 0.5)
    y = x + (1 << 28)
    square = product(y, y)
    cube, fourth = product(square, y), product(square, square)
    tail = rounded(product(rounded(fourth, 2) + cube, third) + square, 1)
    return np.asarray(centre + product(y + tail, centre))


def reciprocal(total: Array) -> tuple[Array, Array]:
    """1 / total, for sums with 19 bits behind the point: 31 bits behind the point, and by how many bits it is too large."""
    bits = functions.floor_log2(total) + 1
    zeros = 32 - bits
    x = (total << zeros) - (1 << 31)
    half = (x + LARGEST + 1) >> 1  # (1 + x) / 2
    y = _saturated(floor(48 / 17 * 2.0**29) + product(half, -floor(32 / 17 * 2.0**29)))
    for _ in range(3):
        y = y + _saturated(product(y, (1 << 29) - product(half, y)) << 2)
    return _saturated(y << 1), _SUM_BITS - zeros


def _saturated(x: Array) -> Array:
    return np.asarray(np.clip(x, -LARGEST - 1, LARGEST))


@dataclass(frozen=True)
class TFLiteSoftmax(Softmax):
    """Softmax in TFLite's arithmetic. With d = max - q and e = exponential[d], 31 bits behind the point:

    S     = sum of e / 2^12, rounded           r, k: 1 / S as a number below 1 and a power of two, by Newton's method
    q_out = min(high, (r * e) / 2^(k + 31 - output bits), rounded, + low)
    """

    is_elementwise: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"SOFTMAX": keep_tflite}

    def output_shape(self, *shapes: Shape) -> Shape:
        if shapes[0][-1] > _MOST_CLASSES:
            raise ValueError(f"softmax over {shapes[0][-1]} values; at most {_MOST_CLASSES} can be kept")
        return shapes[0]

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        q = inputs[0].astype(np.int64)
        e = constants["exponential"].astype(np.int64)[q.max(axis=-1, keepdims=True) - q]
        share, excess = reciprocal(rounded(e, _SUM_BITS).sum(axis=-1, keepdims=True))
        value = rounded(product(e, share), excess + 31 - output.bits) + output.low
        result: Array = np.clip(np.where(e == 0, output.low, value), output.low, output.high).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (kernel,) = super().kernels(layer)
        return [replace(kernel, routines=(Routine("routines/tflite_reciprocal.c.j2"),))]
