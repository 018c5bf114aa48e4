"""Leaky ReLU with trained slopes in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.shared.tflite_operands import TFLiteOperands, keep, steps
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, of_bytes

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
_MOST = 255  # of a centred byte


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """PRELU with constant slopes."""
    of_bytes(op)
    op.raw(1)
    (source, slope), output = steps(op)
    constants: dict[str, Array] = {}
    for sign, factor, most in (("positive", source / output, _MOST), ("negative", source * slope / output, _MOST**2)):
        m, e = multipliers(float(factor))
        if most << max(int(e), 0) > LARGEST:
            raise op.error("its products may exceed 32 bits, which cannot be kept", WITHOUT)
        constants |= {f"{sign}_multiplier": np.asarray(m), f"{sign}_exponent": np.asarray(e)}
    return keep(op, TFLitePReLU, constants)


@dataclass(frozen=True)
class TFLitePReLU(TFLiteOperands):
    """x where x >= 0, else slope * x; the slopes are a constant that is broadcast.

    With u = q - z_in and a = q_slope - z_slope: q_out = clip(scaled(u) + z_out) for u >= 0, else clip(scaled(a * u) +
    z_out); constants ``positive_`` and ``negative_multiplier`` and ``_exponent``.
    """

    cost = 35
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"PRELU": keep_tflite}

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        x, slope = self.both(inputs, weights)
        return self.clip(np.where(x >= 0, x, slope * x).astype(inputs[0].dtype))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        u, slope = self.centred(inputs, constants)
        positive, negative = (
            scaled(value, constants[f"{sign}_multiplier"], constants[f"{sign}_exponent"])
            for sign, value in (("positive", u), ("negative", slope * u))
        )
        return self.limited(np.where(u >= 0, positive, negative), constants, output)
