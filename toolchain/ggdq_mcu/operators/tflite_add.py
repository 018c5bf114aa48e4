"""Sum and difference of two tensors in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.shared.tflite_operands import TFLiteOperands, keep, steps
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, format_of

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
_SHIFTS = {8: 20, 16: 15}  # bits by which operands of so many bits are brought up


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """ADD and SUB, of two tensors, or of a tensor and a constant."""
    swapped = op.is_constant(0)
    scales, output = steps(op)
    twice = 2 * float(max(scales))
    first, second = reversed(scales) if swapped else scales
    shift = _SHIFTS.get(format_of(op, op.outputs[0]).bits, 0)
    factors = np.array([float(first) / twice, float(second) / twice, twice / (float(output) * (1 << shift))])
    if np.any(factors >= 1):
        raise op.error("its output's scale is too small to be kept", WITHOUT)
    m, e = multipliers(factors)
    signs = (1, 1) if op.kind == "ADD" else (-1, 1) if swapped else (1, -1)
    return keep(op, partial(TFLiteAdd, signs, shift), {"multiplier": m, "exponent": e}, swapped)


@dataclass(frozen=True)
class TFLiteAdd(TFLiteOperands):
    """Sum of two tensors, each with its sign, or of a tensor and a constant; shapes are broadcast.

    With u_i = (q_i - z_i) << shift:  q_out = clip(scaled(s_0 * scaled(u_0) + s_1 * scaled(u_1)) + z_out); constants
    ``multiplier`` and ``exponent`` (3,): those of the operands and of the sum.
    """

    signs: tuple[int, ...]
    shift: int = 20

    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"ADD": keep_tflite, "SUB": keep_tflite}

    def _details(self) -> str:
        return "".join(" +" if sign > 0 else " -" for sign in self.signs)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = self.both(inputs, weights)
        value: Array = (self.signs[0] * first + self.signs[1] * second).astype(inputs[0].dtype)
        return self.clip(value)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        m, e = constants["multiplier"], constants["exponent"]
        terms = [
            sign * scaled(u << self.shift, m[i], e[i])
            for i, (sign, u) in enumerate(zip(self.signs, self.centred(inputs, constants), strict=True))
        ]
        return self.limited(scaled(terms[0] + terms[1], m[2], e[2]), constants, output)
