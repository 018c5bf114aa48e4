"""Product of two tensors in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.operators.shared.tflite_operands import TFLiteOperands, keep, steps
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, format_of

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """MUL, of two tensors, or of a tensor and a constant."""
    scales, output = steps(op)
    m, e = multipliers(float(scales[0] * scales[1] / output))
    bits = format_of(op, op.outputs[0]).bits
    most = ((1 << bits) - 1) ** 2 if bits == 8 else 1 << 2 * bits - 2
    if most << max(int(e), 0) > LARGEST:
        raise op.error("its products may exceed 32 bits, which cannot be kept", WITHOUT)
    return keep(op, TFLiteMultiply, {"multiplier": np.asarray(m), "exponent": np.asarray(e)}, op.is_constant(0))


@dataclass(frozen=True)
class TFLiteMultiply(TFLiteOperands):
    """Product of two tensors, or of a tensor and a constant; shapes are broadcast.

    q_out = clip(scaled((q_0 - z_0) * (q_1 - z_1)) + z_out); constants ``multiplier`` and ``exponent``.
    """

    cost = 35
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"MUL": keep_tflite}

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = self.both(inputs, weights)
        return self.clip((first * second).astype(inputs[0].dtype))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        first, second = self.centred(inputs, constants)
        return self.limited(scaled(first * second, constants["multiplier"], constants["exponent"]), constants, output)

    def macs(self, shapes: Sequence[Shape]) -> int:
        return prod(self.output_shape(*shapes))
