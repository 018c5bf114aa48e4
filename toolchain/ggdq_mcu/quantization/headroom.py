"""How much room does a feature map need for values that calibration has not seen?

The step that suits the samples best leaves no room at all where a map has few values: what is rare among them costs
nothing. Yet a new sample's largest value exceeds that of n others with probability 1 / (n + 1), and in a layer of ten
outputs that clipping outweighs the rounding of all others. Above the threshold u that the largest values of six samples
reach, they are taken to fall off exponentially (peaks over a threshold, declustered by sample: Pickands, Annals of
Statistics 3(1), 1975; Davison and Smith, J. Royal Statistical Society B 52(3), 1990), and with them what clipping costs:

    E[((X - t)+)²] = E[((X - u)+)²] exp(-(t - u) / β),  t >= u,  β the mean excess over u

What is clipped may weigh more at the outputs than what is rounded, see clip_weight.py. The step is widened as far as that
lowers the error expected of new samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.quantization.distortion import Levels, squared_error
from ggdq_mcu.quantization.histogram import Distribution, Side

Array = NDArray[Any]
_PEAKS = 6  # more would tell of the bulk, fewer tell nothing
_FACTORS = np.geomspace(1.0, 4.0, 33)


@dataclass(frozen=True, eq=False)
class Peaks:
    """The largest of the samples' largest values of a feature map, and of their negated smallest; at most six, ascending."""

    above: Array
    below: Array

    @classmethod
    def of(cls, values: Array) -> Peaks:
        """Those of a map's values (N, ...)."""
        samples = values.reshape(len(values), -1)
        return cls(_highest(samples.max(axis=1)), _highest(-samples.min(axis=1)))

    def merged(self, other: Peaks) -> Peaks:
        """Those of the samples of both: associative, commutative and exact."""
        return Peaks(
            *(_highest(np.concatenate(both)) for both in ((self.above, other.above), (self.below, other.below)))
        )


@dataclass(frozen=True, eq=False)
class Room:
    """What steps (K,), from a scheme's own to four times that, cost: Σ of squared errors by ``rounded`` and by ``clipped``."""

    steps: Array
    rounded: Array
    clipped: Array

    @classmethod
    def of(cls, step: float, levels: Levels, distribution: Distribution, peaks: Peaks | None) -> Room:
        """For a distribution of one row; without peaks, of the values seen alone."""
        steps = step * _FACTORS
        positive, negative = distribution.positive, distribution.negative
        above, below = levels.positive * steps, levels.negative * steps
        clipped = positive.square_excess(above[None])[0] + negative.square_excess(below[None])[0]
        rounded = squared_error(distribution, steps[None], levels)[0] - clipped
        if peaks is not None:
            clipped = clipped + _unseen(positive, peaks.above, above) + _unseen(negative, peaks.below, below)
        return cls(steps, rounded, clipped)

    def step(self, clip_weight: float) -> float:
        """The step of the least error where what is clipped counts so many times."""
        return float(self.steps[np.argmin(self.rounded + clip_weight * self.clipped)])


def _highest(values: Array) -> Array:
    return np.sort(values)[-_PEAKS:]


def _unseen(side: Side, peaks: Array, limits: Array) -> Array:
    """By how much the expected Σ ((x - t)+)² exceeds that of the values seen, for limits t (K,)."""
    threshold, excess = float(peaks[0]), peaks[1:].astype(np.float64) - peaks[0]
    scale = float(excess.mean()) if len(excess) else 0.0
    if threshold < 0 or not scale > 0:
        return np.zeros(len(limits))
    beyond = np.maximum(limits - threshold, 0)
    expected = side.square_excess(np.array([[threshold]]))[0] * np.exp(-beyond / scale)
    return np.where(limits >= threshold, expected - side.square_excess(limits[None])[0], 0.0)
