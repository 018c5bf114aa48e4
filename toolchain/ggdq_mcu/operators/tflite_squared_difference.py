"""Squared difference of two tensors in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.shared.tflite_operands import TFLiteOperands, keep, steps
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, of_bytes, signed

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
_SHIFT = 7  # by which operands are brought up


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """SQUARED_DIFFERENCE, of two tensors, or of a tensor and a constant."""
    of_bytes(op)
    signed(op)
    scales, output = steps(op)
    twice = 2 * float(max(scales))
    swapped = op.is_constant(0)
    first, second = reversed(scales) if swapped else scales
    whole = float(np.float32(1 << 2 * _SHIFT) * output)
    m, e = multipliers([float(first) / twice, float(second) / twice, twice * twice / whole])
    if (255 << _SHIFT) ** 2 << max(int(e[2]), 0) > LARGEST:
        raise op.error("its squares may exceed 32 bits, which cannot be kept", WITHOUT)
    return keep(op, TFLiteSquaredDifference, {"multiplier": m, "exponent": e}, swapped)


@dataclass(frozen=True)
class TFLiteSquaredDifference(TFLiteOperands):
    """Square of the difference of two tensors, or of a tensor and a constant; shapes are broadcast.

    With u_i = (q_i - z_i) << 7 and d = scaled(u_0) - scaled(u_1): q_out = clip(scaled(d * d) + z_out); constants
    ``multiplier`` and ``exponent`` (3,): those of the operands and of the square.
    """

    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"SQUARED_DIFFERENCE": keep_tflite}

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = self.both(inputs, weights)
        return self.clip(((first - second) ** 2).astype(inputs[0].dtype))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        m, e = constants["multiplier"], constants["exponent"]
        first, second = (scaled(u << _SHIFT, m[i], e[i]) for i, u in enumerate(self.centred(inputs, constants)))
        return self.limited(scaled((first - second) ** 2, m[2], e[2]), constants, output)
