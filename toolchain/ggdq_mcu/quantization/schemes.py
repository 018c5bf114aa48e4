"""Which step should a feature map have? Every calibration scheme behind one interface, found by name.

A scheme turns a `Distribution` into steps, one per row, so that per channel and per tensor are the same
code. To add one, write its rule here under a decorator that names it and cites its source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.numerics.functions import ceil_log2, exp, log, power, x_log_x
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization import ggd
from ggdq_mcu.quantization.distortion import Levels, squared_error
from ggdq_mcu.quantization.histogram import Distribution, FloatArray, IntArray, Side

DEFAULT = "ggd-tuned"

Rule = Callable[[Distribution, Levels], FloatArray]
SideRule = Callable[[Side, int], FloatArray]


@dataclass(frozen=True)
class Scheme:
    """A named rule for the step, with the publication that it comes from."""

    name: str
    source: str
    rule: Rule

    def step(self, distribution: Distribution, bits: int, signed: bool = False, zero_point: int = 0) -> float:
        """The step of the whole tensor: of all rows together. Positive and finite, for any distribution."""
        return float(self.steps(distribution.pooled(), bits, signed, zero_point)[0])

    def steps(self, distribution: Distribution, bits: int, signed: bool = False, zero_point: int = 0) -> FloatArray:
        """The step of each row, (R,), positive and finite.

        The format is an integer q of 2 to 16 bits (GgdqError otherwise) that stands for Δ · (q -
        zero_point). Rows without a value other than zero get the step that spans [0, 1].
        """
        levels = Levels.of(bits, signed, zero_point)
        active = distribution.positive.total + distribution.negative.total > 0
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            steps = np.where(active, self.rule(distribution, levels), 0.0)
        usable = np.isfinite(steps) & (steps > 0)
        return np.where(usable, steps, 1.0 / max(levels.negative, levels.positive))


SCHEMES: dict[str, Scheme] = {}
"""The schemes by name, in the order of this file."""


def scheme(name: str) -> Scheme:
    """The scheme of that name; raises GgdqError if there is none."""
    if name not in SCHEMES:
        close = get_close_matches(name.lower(), SCHEMES, 1, 0.7)
        meant = f"did you mean {close[0]}? " if close else ""
        raise GgdqError(f"no scheme {name!r}", fix=f"{meant}choose one of {', '.join(SCHEMES)}")
    return SCHEMES[name]


def _both_sides(name: str, source: str) -> Callable[[Rule], Rule]:
    """Enters a rule that sees the distribution and the levels: (R rows, levels) -> steps (R,)."""

    def enter(rule: Rule) -> Rule:
        SCHEMES[name] = Scheme(name, source, rule)
        return rule

    return enter


def _each_side(name: str, source: str) -> Callable[[SideRule], SideRule]:
    """Enters a rule for the levels 0, Δ, ..., top·Δ of one side: (side, top) -> steps (R,).

    It is used on the only side there is, on |x| where both sides have the same levels, or else on each of
    them, and the larger step is taken.
    """

    def enter(rule: SideRule) -> SideRule:
        def for_levels(distribution: Distribution, levels: Levels) -> FloatArray:
            if levels.negative == 0:
                return rule(distribution.positive, levels.positive)
            if levels.positive == 0:
                return rule(distribution.negative, levels.negative)
            if abs(levels.negative - levels.positive) <= 1:
                return rule(distribution.magnitude, min(levels.negative, levels.positive))
            sides = (distribution.negative, levels.negative), (distribution.positive, levels.positive)
            return np.maximum(*(np.where(side.total > 0, rule(side, top), 0.0) for side, top in sides))

        SCHEMES[name] = Scheme(name, source, for_levels)
        return rule

    return enter


@_each_side("minmax", "Jacob et al., Quantization and training of neural networks, CVPR 2018, section 2.1")
def _minmax(side: Side, top: int) -> FloatArray:
    """The largest magnitude is the largest level: nothing is clipped."""
    return side.maximum / top


@_each_side("pow2", "Gysel et al., Ristretto, IEEE Trans. Neural Networks 29(11), 2018, section IV")
def _power_of_two(side: Side, top: int) -> FloatArray:
    """The smallest power of two that clips nothing: dynamic fixed point."""
    return np.ldexp(1.0, ceil_log2(side.maximum / top))


@_each_side("percentile", "McKinstry et al., arXiv:1809.04191, section 3")
def _percentile(side: Side, top: int) -> FloatArray:
    """A thousandth of the values that are not zero is clipped."""
    return side.quantile(1e-3 * side.total) / top


_KL_BINS = 2048
_KL_THRESHOLDS = 112


@_each_side("kl", "Migacz, 8-bit inference with TensorRT, GPU Technology Conference 2017")
def _kullback_leibler(side: Side, top: int) -> FloatArray:
    """The histogram, clipped and quantized, diverges least from what it was."""
    levels = top + 1
    if levels >= _KL_BINS:
        return side.maximum / top
    edges = np.linspace(0, 1, _KL_BINS + 1) * side.maximum[:, None]
    counts = np.maximum(-np.diff(side.survival(edges), axis=1), 0).T
    filled, entropy = (counts > 0).astype(float), x_log_x(counts)
    tables = np.pad(np.cumsum([counts, filled, entropy], 1), ((0, 0), (1, 0), (0, 0)))
    ends = np.unique(np.linspace(levels, _KL_BINS, _KL_THRESHOLDS).astype(int))
    divergence = _divergences(tables, ends, levels)
    return np.asarray(side.maximum * ends[divergence.argmin(0)] / _KL_BINS / levels)


def _divergences(tables: FloatArray, ends: IntArray, levels: int) -> FloatArray:
    """KL(P || Q), (E, R), for E ends: P is the first bins up to an end, outliers in the last; Q their average over each level.

    tables (3, bins + 1, R): before each edge, the sums of n, of (n > 0) and of n ln n, n the count of a bin.
    """
    sums, filled, entropies = tables
    edges = np.arange(levels + 1) * ends[:, None] // levels
    group, width = np.diff(sums[edges], axis=1), np.diff(filled[edges], axis=1)  # (E, levels, R)
    kept, everything = sums[ends], sums[-1]
    outliers = everything - kept
    last = kept - sums[ends - 1] + outliers
    average = log(np.maximum(group / np.maximum(width, 1), 1e-4))  # an empty level is unlikely, not impossible
    cross = total(group * average, 1) + outliers * average[:, -1]
    own = entropies[ends - 1] + x_log_x(last)
    return np.asarray((own - cross) / everything + log(kept / everything))


@_each_side("laplace", "Banner et al., Post-training 4-bit quantization (ACIQ), NeurIPS 2019, section 3")
def _laplace(side: Side, top: int) -> FloatArray:
    """The best step for an exponential density of the same mean (GGD with k = c = 1)."""
    density = ggd.GeneralizedGamma.of(1.0, 1.0, side.sum / side.total)
    return ggd.closed_form_limit(density, top + 1) / (top + 1)


@_each_side("gauss", "Lin et al., Fixed point quantization of deep networks, ICML 2016, section 3")
def _gauss(side: Side, top: int) -> FloatArray:
    """The best step for a Gaussian of the same power (half of one is the GGD with k = 1/2, c = 2)."""
    return np.sqrt(2 * side.power / side.total) * ggd.half_normal_limit(top + 1) / (top + 1)


@_each_side("ggd", "Kim et al., arXiv:1810.13329, section 3")
def _ggd(side: Side, top: int) -> FloatArray:
    """The generalized gamma density of maximum likelihood and the closed form of its best step."""
    return ggd.closed_form_limit(ggd.fit(side), top + 1) / (top + 1)


@_each_side("ggd-exact", "Kim et al., arXiv:1810.13329; Hui and Neuhoff, IEEE Trans. IT 47(3), 2001")
def _ggd_exact(side: Side, top: int) -> FloatArray:
    """The same density; its condition of optimality solved without the asymptotic approximation."""
    return ggd.exact_limit(ggd.fit(side), top + 1) / (top + 1)


@_each_side("ggd-tail", "Kim et al., arXiv:1810.13329, for the density; fitted to the tail by this project")
def _ggd_tail(side: Side, top: int) -> FloatArray:
    """The density fitted to the tail, which decides the step, and its closed form; at most min-max."""
    density, log_mass = ggd.fit_tail(side)
    return np.minimum(ggd.closed_form_limit(density, top + 1, log_mass) / (top + 1), side.maximum / top)


_GRID = exp(np.linspace(log(1 / 64), log(1.02), 48))


@_both_sides("mse", "Sung et al., arXiv:1511.06488, section 3 (L2 error minimisation)")
def _brute_force(distribution: Distribution, levels: Levels) -> FloatArray:
    """The least squared error on the distribution: a grid from 1/64 of min-max up, then refined."""
    start = SCHEMES["minmax"].rule(distribution, levels)
    best = _least_error(distribution, levels, start[:, None] * _GRID)
    return _refined(distribution, levels, best, float(_GRID[1] / _GRID[0]))


@_both_sides("ggd-tuned", "Kim et al., arXiv:1810.13329, section 4 (tuning); the search is this project's")
def _ggd_tuned(distribution: Distribution, levels: Levels) -> FloatArray:
    """Starts from the steps of the generalized gamma density and tunes them on the distribution itself.

    The step of every other scheme is a candidate too, so that none has a smaller error.
    """
    others = [other.rule(distribution, levels) for name, other in SCHEMES.items() if name != "ggd-tuned"]
    start = _least_error(distribution, levels, np.stack(others, 1))
    return _refined(distribution, levels, start, 1.05)


def _least_error(distribution: Distribution, levels: Levels, candidates: FloatArray) -> FloatArray:
    """Of the candidate steps (R, K) the ones (R,) of the least squared error; the first of equals."""
    usable = np.isfinite(candidates) & (candidates > 0)
    error = squared_error(distribution, np.where(usable, candidates, 1.0), levels)
    best = np.where(usable, error, np.inf).argmin(1)
    return np.asarray(candidates[np.arange(len(best)), best])


def _refined(distribution: Distribution, levels: Levels, start: FloatArray, ratio: float) -> FloatArray:
    """Steps (R,) no worse than `start`: a search within a factor of `ratio`, then within what that leaves."""
    for _ in range(2):
        factors = power(ratio, [0.0, -0.8, -0.6, -0.4, -0.2, 0.2, 0.4, 0.6, 0.8])
        start = _least_error(distribution, levels, start[:, None] * factors)
        ratio = float(power(ratio, 0.2))
    return start


def signed_format(distribution: Distribution, bits: int, chosen: Scheme) -> tuple[float, int]:
    """(step, zero point) of a signed tensor: symmetric (zero point 0) or affine, by the higher SQNR.

    The levels are -2^(bits-1) .. 2^(bits-1) - 1. The affine candidate is the zero point that a brute-force
    step likes best, of those that split the levels as the extremes and the quantiles of both sides do; a
    tensor without negative values so gets all levels for the positive ones.
    """
    pooled = distribution.pooled()
    trials = [_signed_trial(pooled, bits, SCHEMES["mse"], point) for point in _zero_points(pooled, bits)]
    affine = min(trials, key=lambda trial: trial.error).zero_point if trials else 0
    finalists = (_signed_trial(pooled, bits, chosen, point) for point in (0, affine))
    best = min(finalists, key=lambda trial: trial.error)
    return best.step, best.zero_point


@dataclass(frozen=True)
class _Trial:
    error: float
    step: float
    zero_point: int


def _signed_trial(pooled: Distribution, bits: int, chosen: Scheme, zero_point: int) -> _Trial:
    """The step of a scheme for a signed tensor with this zero point, and the squared error that it leaves."""
    step = chosen.step(pooled, bits, True, zero_point)
    error = squared_error(pooled, np.array([step]), Levels.of(bits, True, zero_point))
    return _Trial(float(error[0]), step, zero_point)


def _zero_points(pooled: Distribution, bits: int) -> list[int]:
    count = (1 << bits) - 1
    found: set[int] = set()
    for clipped in (0.0, 1e-4, 1e-3, 1e-2):
        beyond = np.array([clipped * pooled.samples[0]])
        below, above = (float(side.quantile(beyond)[0]) for side in (pooled.negative, pooled.positive))
        if below + above > 0:
            split = round(below / (below + above) * count)
            found.update(min(max(split + shift, 0), count) for shift in (-1, 0, 1))
    return sorted(split - (1 << (bits - 1)) for split in found)
