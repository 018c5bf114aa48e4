"""What does a step cost? Squared error and SQNR of a uniform quantizer on the distribution of a feature map.

Everything rests on one identity. A quantizer with levels 0, Δ, ..., mΔ that rounds to the nearest adds Δ each
time the value passes a threshold t_l = (l - 1/2)Δ; summing the change of the squared error over the
thresholds passed gives, for any distribution on x >= 0,

    E[(X - Q(X))²] = E[X²] - 2Δ Σ_{l=1..m} E[(X - t_l)+]

so that the exact distortion of a step needs m look-ups of the mean excess, whatever the number of samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.numerics.functions import log10
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization.histogram import Distribution, FloatArray, Side

_MOST_THRESHOLDS = 2047  # up to 11 bits; beyond, steps are smaller than the bins
_LOOKUPS = 1 << 15  # thresholds looked up at a time: the temporaries stay in the cache


@dataclass(frozen=True)
class Levels:
    """How many steps a format reaches below and above its zero point: values -negative·Δ ... positive·Δ."""

    negative: int
    positive: int

    @classmethod
    def of(cls, bits: int, signed: bool = False, zero_point: int = 0) -> Levels:
        """The levels of an integer of 2 to 16 bits that holds the zero point; GgdqError otherwise."""
        if not 2 <= bits <= 16:
            raise GgdqError(f"{bits} bits for an activation", fix="choose 2 to 16 bits")
        low = -(1 << (bits - 1)) if signed else 0
        high = low + (1 << bits) - 1
        if not low <= zero_point <= high:
            raise GgdqError(f"zero point {zero_point} is outside of {low}..{high}")
        return cls(zero_point - low, high - zero_point)


def squared_error(distribution: Distribution, steps: ArrayLike, levels: Levels) -> FloatArray:
    """Σ (x - Q(x))² of each row for `steps` (R,), or (R, K): K quantizers of each; the shape of `steps`."""
    step = np.asarray(steps, np.float64)
    columns = step.reshape(distribution.rows, -1)
    total = _side_error(distribution.positive, columns, levels.positive)
    total += _side_error(distribution.negative, columns, levels.negative)
    return total.reshape(step.shape)


def distortion(distribution: Distribution, steps: ArrayLike, levels: Levels) -> FloatArray:
    """Mean of (x - Q(x))² over the values, zeros included; shapes as in `squared_error`."""
    error = squared_error(distribution, steps, levels)
    samples = np.maximum(distribution.samples, 1)
    return np.asarray((error.T / samples).T)


def sqnr_db(distribution: Distribution, steps: ArrayLike, levels: Levels) -> FloatArray:
    """10 log10(E[x²] / distortion); infinite where there is no error. Shapes as in `squared_error`."""
    error = squared_error(distribution, steps, levels)
    power = distribution.positive.power + distribution.negative.power
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = 10 * log10((power / error.T).T)
    return np.where(error > 0, ratio, np.inf)


def _side_error(side: Side, steps: FloatArray, top: int) -> FloatArray:
    """Σ (x - Q(x))² with levels 0..top; steps (R, K) -> (R, K)."""
    if not side.total.any():
        return np.zeros(steps.shape)
    error = _atom_error(side, steps, top)
    if top > _MOST_THRESHOLDS:
        return np.asarray(error + _fine_bin_error(side, steps, top))
    power = side.bin_power[:, None]
    if top == 0:
        return np.asarray(error + power)
    halves = np.arange(1, top + 1) - 0.5
    columns = max(1, _LOOKUPS // (len(steps) * top))
    for start in range(0, steps.shape[1], columns):
        block = steps[:, start : start + columns]
        passed = total(side.bin_excess(block[:, :, None] * halves), 2)
        error[:, start : start + columns] += power - 2 * block * passed
    # The difference of two sums of squares leaves rounding noise where the true error is nil.
    return np.asarray(np.maximum(error, 0))


def _atom_error(side: Side, steps: FloatArray, top: int) -> FloatArray:
    error = np.zeros(steps.shape)
    for atoms, times in zip(side.atoms.T, side.atom_counts.T, strict=True):
        if times.any():
            level = np.minimum(np.floor(atoms[:, None] / steps + 0.5), top)
            error += times[:, None] * (atoms[:, None] - level * steps) ** 2
    return error


def _fine_bin_error(side: Side, steps: FloatArray, top: int) -> FloatArray:
    """The error of steps below a bin: Δ²/12 a value (exact up to the bin's last step) and the clipped tail.

    Above L = (top + 1/2)Δ the error is Σ (x - L + Δ/2)², integrated over the bins.
    """
    limit = (top + 0.5) * steps
    beyond = side.bin_survival(limit)
    clipped = side.bin_square_excess(limit) + steps * side.bin_excess(limit) + steps**2 / 4 * beyond
    inside = total(side.counts, 1)[:, None] - beyond
    return np.asarray(inside * steps**2 / 12 + clipped)
