"""The logarithm of softmax over the last axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.numerics import functions
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.operators.softmax import ONE, distances, exponential_tables, exponentials, over_axis, over_onnx_axis
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_FRACTION = 16  # bits behind the point of the logarithm
_MULTIPLIER_BITS, _MOST_SHIFT = 40, 44  # so that neither a product nor the shifted zero point has more than 62 bits


def from_keras(layer: KerasLayer) -> list[Node]:
    """Log-softmax over any one axis; another than the last is exchanged with the last and back."""
    return over_axis(layer, LogSoftmax())


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """LOG_SOFTMAX over the last axis."""
    return [Node(op.name, LogSoftmax(), (op.source,))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """LogSoftmax over any one axis; another than the one that is stored last is moved there."""
    return over_onnx_axis(op, LogSoftmax())


@dataclass(frozen=True)
class LogSoftmax(Operator):
    """x - ln(sum of exp(x)) over the last axis.

    With d = max - q, e as in softmax and S the sum of e, integers only:
        l     = log2(S), 16 bits behind the point, a bit at a time: the number is squared, and halved where it is 2 or more
        q_out = clip((B - m * d - n * l) >> f)        m = step_in / step_out * 2^f, n = ln(2) / step_out * 2^(f - 16)
    B holds rounding, zero point, and n times the l of the largest e alone. Products and B have 64 bits.
    The output has step 1/16 and zero point 127 (s8), or step 1/1024 (s16): what is below -16, or -32, is clipped.
    """

    is_elementwise: ClassVar[bool] = True
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"LogSoftmax": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"LOG_SOFTMAX": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"LogSoftmax": from_onnx}

    reads_wide: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        if not shapes[0] or shapes[0][-1] > ONE:
            raise ValueError(f"log-softmax of {shapes[0]}; over at most {ONE} values")
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        below = inputs[0] - inputs[0].max(axis=-1, keepdims=True)
        result: Array = below - functions.log(total(functions.exp(below), -1, keepdims=True))
        return result.astype(inputs[0].dtype)

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format:
        # Trained networks reach -40: steps for all of that make ties of the largest values, which are the ones that matter.
        kind = type(inputs[0])
        return kind(16, True, 2.0**-10) if bits > 8 else kind(8, True, 2.0**-4, 127)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        source, step = inputs[0], float(output.step)
        ratios = np.array([float(source.step), functions.LN2 * 2.0**-_FRACTION]) / step
        ratios = np.minimum(ratios, 2.0**17)  # of which one is beyond the output's range already
        shift = min(_MULTIPLIER_BITS - int(functions.ceil_log2(ratios.max())), _MOST_SHIFT)
        m, n = (round(ratio * 2.0**shift) for ratio in ratios)
        largest = ONE * ONE / 65536 if source.bits > 8 else ONE  # of e, by two tables or one
        alone = float(functions.log2(largest)) * 2**_FRACTION - 0.5  # l is rounded down
        offset = (output.zero_point << shift) + (1 << (shift - 1)) + round(n * alone)
        numbers = {"offset": offset, "multiplier": m, "scale": n, "shift": shift}
        return exponential_tables(source) | {key: np.array(value, np.int64) for key, value in numbers.items()}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        distance = distances(inputs[0])
        sums = exponentials(distance, constants).sum(axis=-1, keepdims=True)
        row = constants["offset"] - constants["scale"] * binary_logarithm(sums)
        value = (row - constants["multiplier"] * distance) >> constants["shift"]
        result: Array = np.clip(value, output.low, output.high).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (kernel,) = super().kernels(layer)
        arrays = {key: value for key, value in kernel.arrays.items() if value.ndim}
        parameters = {key: int(value) for key, value in kernel.arrays.items() if not value.ndim}
        shape = layer.shape
        cost = 30 * prod(shape) + 250 * prod(shape[:-1])
        routines = (Routine("routines/binary_logarithm.c.j2", code_bytes=60),)
        return [replace(kernel, parameters=parameters, arrays=arrays, instructions=cost, routines=routines)]


def binary_logarithm(x: Array) -> Array:
    """log2 of integers 1..2^32 - 1, rounded down to 16 bits behind the point, as int64."""
    result = np.frexp(x.astype(np.float64))[1].astype(np.int64) - 1
    mantissa = x.astype(np.uint64) << (31 - result).astype(np.uint64)
    for _ in range(_FRACTION):
        square = mantissa * mantissa
        above = square >> np.uint64(63)
        mantissa = square >> (np.uint64(31) + above)
        result = 2 * result + above.astype(np.int64)
    return np.asarray(result)
