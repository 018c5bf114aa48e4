"""How much room does a feature map need for values that calibration has not seen?

The step that suits the samples best leaves no room at all where a map has few values: what is rare among them costs
nothing. Yet a new sample's largest value exceeds that of n others with probability 1 / (n + 1), and in a layer of ten
outputs that clipping outweighs the rounding of all others. Above the threshold u that the largest values of six samples
reach, they are taken to fall off exponentially (peaks over a threshold, declustered by sample: Pickands, Annals of
Statistics 3(1), 1975; Davison and Smith, J. Royal Statistical Society B 52(3), 1990), and with them what clipping costs:

    E[((X - t)+)²] = E[((X - u)+)²] exp(-(t - u) / β),  t >= u,  β the mean excess over u

The step is widened as far as that lowers the error expected of new samples.
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
        return Peaks(*(_highest(np.concatenate(both)) for both in ((self.above, other.above), (self.below, other.below))))


def widened(step: float, levels: Levels, distribution: Distribution, peaks: Peaks) -> float:
    """The step, ``step`` to four times that, of the least error expected of new samples; ``distribution`` has one row."""
    steps = step * _FACTORS
    error = squared_error(distribution, steps[None], levels)[0]
    error += _unseen(distribution.positive, peaks.above, (levels.positive + 0.5) * steps)
    error += _unseen(distribution.negative, peaks.below, (levels.negative + 0.5) * steps)
    return float(steps[np.argmin(error)])


def _highest(values: Array) -> Array:
    return np.sort(values)[-_PEAKS:]


def _unseen(side: Side, peaks: Array, limits: Array) -> Array:
    """By how much the expected Σ ((x - t)+)² exceeds that of the values seen, for limits t (K,)."""
    threshold, excess = float(peaks[0]), peaks[1:].astype(np.float64) - peaks[0]
    scale = float(excess.mean()) if len(excess) else 0.0
    if threshold < 0 or not scale > 0:
        return np.zeros(len(limits))
    beyond = np.maximum(limits - threshold, 0)
    expected = _square_excess(side, np.array([threshold])) * np.exp(-beyond / scale)
    return np.where(limits >= threshold, expected - _square_excess(side, limits), 0.0)


def _square_excess(side: Side, thresholds: Array) -> Array:
    """Σ ((x - t)+)² of a side of one row, for thresholds (K,)."""
    atoms = side.atom_counts[0] @ np.maximum(side.atoms[0][:, None] - thresholds, 0) ** 2
    return np.asarray(side.bin_square_excess(thresholds[None])[0] + atoms)
