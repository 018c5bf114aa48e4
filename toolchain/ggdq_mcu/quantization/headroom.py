"""What will a step cost on samples that calibration has not seen?

The step that suits the samples best leaves no room at all where a map has few values: what is rare among them costs
nothing. Yet a new sample's largest value exceeds that of n others with probability 1 / (n + 1), and in a layer of ten
outputs that clipping outweighs the rounding of all others. So the step minimises the error expected of a new sample, in
which the sample is the unit of independence:

* The tail. Above the threshold u that the largest values of three in ten samples reach, these fall off like a generalized
  Pareto density (peaks over a threshold, declustered by sample: Pickands, Annals of Statistics 3(1), 1975; Davison and
  Smith, J. Royal Statistical Society B 52(3), 1990), and with them what clipping costs:

      E[((X - t)+)²] = E[((X - u)+)²] (1 + ξ (t - u) / σ)^(2 - 1/ξ),  t >= u,  σ = (1 - ξ) β,  β the mean excess over u

  Six to sixty peaks do not tell the shape ξ; it is that of the maps of many networks, ξ = -1/4 (features and what layers
  make of them are bounded, if not sharply). β is shrunk towards theirs: a share of u.
* The scale. Another sample may be louder or quieter in all its values. The distribution seen is smeared by a factor exp(h Z),
  Z normal, h = 0.3 / n: a smoothed bootstrap (Silverman and Young, Biometrika 74(3), 1987), which matters up to ten samples.

With plenty of samples both vanish, and the best step is that of the histogram.
The constants were chosen on six networks, two draws of samples each (benchmarks/sample_networks.py; four more were kept aside).

What is clipped may weigh more at the outputs than what is rounded, see clip_weight.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import exp, exp2
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization.distortion import Levels, squared_error
from ggdq_mcu.quantization.histogram import Distribution, Side

Array = NDArray[Any]
KEPT_PEAKS = 200  # samples whose peaks are kept: the first, as those that are kept whole
_SHARE, _FEWEST = 0.3, 6  # of the samples, whose peaks are the tail
_PRIOR_PEAKS, _PRIOR_EXCESS = (
    2.0,
    0.15,
)  # so many peaks say beforehand that the mean excess is this share of the threshold
_SPREAD = 0.3  # of a sample's scale: standard deviation of its logarithm that one sample leaves open
# Gauss' rule for the normal density: seven nodes, weights of sum 1.
_NODES = np.array(
    [
        -3.750439717725742,
        -2.366759410734541,
        -1.154405394739968,
        0.0,
        1.154405394739968,
        2.366759410734541,
        3.750439717725742,
    ]
)
_WEIGHTS = np.array(
    [
        0.000548268855972217,
        0.0307571239675865,
        0.240123178605013,
        0.457142857142857,
        0.240123178605013,
        0.0307571239675865,
        0.000548268855972217,
    ]
)
_FACTORS = exp2(np.linspace(0.0, 2.0, 33))


@dataclass(frozen=True, eq=False)
class Peaks:
    """Each sample's largest values of a feature map, and its negated smallest, by channel: (N, C); of the first 200."""

    above: Array
    below: Array

    @classmethod
    def of(cls, values: Array) -> Peaks:
        """Those of a map's values (N, ..., C)."""
        rows = values[:KEPT_PEAKS]
        samples = rows.reshape(len(rows), -1, values.shape[-1] if values.ndim > 1 else 1)
        return cls(samples.max(axis=1), -samples.min(axis=1))

    def merged(self, other: Peaks) -> Peaks:
        """Those of the samples of both, in this order."""
        pairs = (self.above, other.above), (self.below, other.below)
        return Peaks(*(np.concatenate(pair)[:KEPT_PEAKS] for pair in pairs))

    def scaled(self, steps: Array) -> Peaks:
        """Of x_c / steps_c, ``steps`` (C,)."""
        return Peaks(self.above / steps, self.below / steps)

    def pooled(self) -> Peaks:
        """Of the whole map: (N, 1)."""
        return Peaks(self.above.max(axis=1, keepdims=True), self.below.max(axis=1, keepdims=True))


@dataclass(frozen=True, eq=False)
class Room:
    """What steps (R, K) of R maps, from a scheme's own to four times that, cost: Σ of squared errors by ``rounded`` and by
    ``clipped``, expected of as many new samples."""

    steps: Array
    rounded: Array
    clipped: Array

    @classmethod
    def of(cls, step: Array | float, levels: Levels, distribution: Distribution, peaks: Peaks | None) -> Room:
        """For steps (R,) of a distribution of R rows; without peaks, of the values seen alone."""
        steps = np.atleast_1d(np.asarray(step, np.float64))[:, None] * _FACTORS
        return cls(steps, *expected_errors(distribution, steps, levels, peaks))

    def step(self, clip_weight: float) -> Array:
        """The steps (R,) of the least error where what is clipped counts so many times."""
        best = np.argmin(self.rounded + clip_weight * self.clipped, axis=1)
        return np.asarray(self.steps[np.arange(len(best)), best])


@dataclass(frozen=True, eq=False)
class Expected:
    """What a feature map's channels are like on a new sample: those seen, the peaks by sample, and what clipping weighs."""

    seen: Distribution
    peaks: Peaks | None = None
    clip_weight: float = 1.0

    def distortion(self, steps: Array, levels: Levels) -> Array:
        """Mean error by rounding, and by clipping as often as it weighs, of steps (R, K): (R, K)."""
        rounded, clipped = expected_errors(self.seen, steps, levels, self.peaks)
        return np.asarray((rounded + self.clip_weight * clipped) / np.maximum(self.seen.samples, 1)[:, None])


def expected_errors(
    distribution: Distribution, steps: Array, levels: Levels, peaks: Peaks | None
) -> tuple[Array, Array]:
    """Σ of squared errors of steps (R, K) by rounding and by clipping, (R, K) each, expected of as many new samples."""
    if peaks is None or len(peaks.above) == 0:
        return _errors(distribution, steps, levels, None)
    spread = _SPREAD / len(peaks.above)
    if spread < 0.01:
        return _errors(distribution, steps, levels, peaks)
    rounded, clipped = np.zeros(steps.shape), np.zeros(steps.shape)
    for weight, factor in zip(_WEIGHTS, exp(spread * _NODES), strict=True):
        parts = _errors(distribution, steps / factor, levels, peaks)
        rounded += weight * factor**2 * parts[0]
        clipped += weight * factor**2 * parts[1]
    return rounded, clipped


def _errors(distribution: Distribution, steps: Array, levels: Levels, peaks: Peaks | None) -> tuple[Array, Array]:
    positive, negative = distribution.positive, distribution.negative
    above, below = levels.positive * steps, levels.negative * steps
    clipped = positive.square_excess(above) + negative.square_excess(below)
    rounded = squared_error(distribution, steps, levels) - clipped
    if peaks is not None:
        clipped = clipped + _unseen(positive, peaks.above, above) + _unseen(negative, peaks.below, below)
    return rounded, clipped


def _unseen(side: Side, peaks: Array, limits: Array) -> Array:
    """By how much the expected Σ ((x - t)+)² exceeds that of the values seen, for limits t (R, K); peaks (N, R)."""
    count = min(max(round(_SHARE * len(peaks)), _FEWEST), len(peaks))
    highest = np.sort(peaks.astype(np.float64), axis=0)[-count:]
    threshold = highest[0]
    prior = _PRIOR_PEAKS * _PRIOR_EXCESS * np.maximum(threshold, 0)
    mean = (total(highest[1:] - threshold, 0) + prior) / (count - 1 + _PRIOR_PEAKS)
    known = (threshold >= 0) & (mean > 0)
    threshold, mean = np.where(known, threshold, 0.0)[:, None], np.where(known, mean, 1.0)[:, None]
    # ξ = -1/4: σ = 5/4 β, and the exponent is 6.
    left = np.maximum(1 - (limits - threshold) / (5 * mean), 0.0)
    expected = side.square_excess(threshold) * (left * left * left) ** 2
    return np.where(known[:, None] & (limits >= threshold), np.maximum(expected - side.square_excess(limits), 0), 0.0)
