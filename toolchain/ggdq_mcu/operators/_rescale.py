"""How does a value change its step by integers alone? A 16-bit multiplier and one shift.

    q_out = clip((sum of m_i * q_i + r) >> n)        m_i = round(step_i / step_out * 2^n), r: rounding and zero points
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
_MULTIPLIER_BITS = 15


def step_ratio(source: Format, output: Format) -> float:
    """step_in / step_out as one number; channel steps have to be proportional."""
    ratio = np.asarray(source.step, np.float64) / np.asarray(output.step, np.float64)
    if not np.allclose(ratio, ratio.flat[0], rtol=1e-9):
        raise GgdqError("channel steps of input and output are not proportional")
    return float(ratio.flat[0])


def multipliers(ratios: Array, magnitude: float, output: Format, bits: int = 30) -> tuple[Array, int]:
    """Multipliers m (int64, |m| < 2^15) and the shift n (0..30) with m / 2^n nearest to ``ratios``.

    ``magnitude`` bounds the sum of |ratio * q| over all terms: the sum, the zero point and the rounding stay within
    ``bits`` + 1 bits.
    """
    largest = float(np.max(np.abs(ratios)))
    if not largest > 0 or not np.isfinite(largest):
        raise GgdqError(f"step ratio {largest} cannot be represented")
    by_multiplier = np.floor(np.log2((2.0**_MULTIPLIER_BITS - 1) / largest))
    by_accumulator = np.floor(bits - np.log2(magnitude + abs(output.zero_point) + 1))
    shift = int(np.clip(min(by_multiplier, by_accumulator), 0, 30))
    m = np.floor(np.asarray(ratios) * 2.0**shift + 0.5).astype(np.int64)
    if np.max(np.abs(m)) >= 2**_MULTIPLIER_BITS:
        raise GgdqError(f"step ratio {largest:.3g} does not fit a 16-bit multiplier")
    return m, shift


def half(shift: int) -> int:
    """What makes the arithmetic shift round half up."""
    return 1 << (shift - 1) if shift else 0
