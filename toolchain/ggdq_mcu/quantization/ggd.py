"""Which generalized gamma density describes a feature map, and which step is the best for it?

    f(x) = c / (s Γ(k)) · (x/s)^(ck-1) · exp(-(x/s)^c),  x > 0      (scipy.stats.gengamma(a=k, c=c, scale=s))

Model and closed form: Kim, Yim, Ha, Lee, Kang, "Convolutional Neural Network Quantization using Generalized
Gamma Distribution", arXiv:1810.13329. Condition of optimality: Hui and Neuhoff, "Asymptotic analysis of
optimal fixed-rate uniform scalar quantization", IEEE Trans. IT 47(3), 2001.

N levels of step Δ cover [0, L], L = NΔ. The distortion Δ²/12 + E[((X-L)+)²] is stationary where
E[(X-L)+] / L = 1 / (12 N²). A two-sided density with N levels in all has N/2 on each side: the same
condition, for |X| and N/2 levels, is the E[(|X|-L)+] / L = 1 / (3 N²) of the literature. So everything here
is about one side.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

from ggdq_mcu.numerics.functions import digamma, exp, log, log2, log_gamma, power, x_log_x
from ggdq_mcu.numerics.gamma import larger_root, lower_series, upper_fraction
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization.histogram import FloatArray, Side

FEWEST_VALUES = 8
"""With fewer values three parameters say nothing, and the fit falls back on the exponential density."""

TAIL_FRACTION = 0.005
TAIL_VALUES = 64
"""The tail is that part of the values, but at least so many of them."""

C_BOUNDS = (0.15, 10.0)
K_BOUNDS = (0.02, 200.0)
_MOST_TURNS = 60  # of Newton's method; five are enough for most
_C_GRID = exp(np.linspace(float(log(C_BOUNDS[0])), float(log(C_BOUNDS[1])), 49))


@dataclass(frozen=True, eq=False)
class GeneralizedGamma:
    """One density per row: shapes k and c, scale s, each (R,) and positive."""

    k: FloatArray
    c: FloatArray
    s: FloatArray

    @classmethod
    def of(cls, k: ArrayLike, c: ArrayLike, s: ArrayLike) -> GeneralizedGamma:
        """Densities from anything that broadcasts to (R,)."""
        parts = np.broadcast_arrays(*(np.atleast_1d(np.asarray(part, np.float64)) for part in (k, c, s)))
        return cls(*parts)

    def density(self, x: FloatArray) -> FloatArray:
        """f(x), x (R,) > 0 or any shape that broadcasts."""
        z = x / self.s
        log_front = log(self.c / self.s) - self._log_gamma
        return np.asarray(exp(log_front + (self.c * self.k - 1) * log(z) - power(z, self.c)))

    def moment(self, order: float) -> FloatArray:
        """(R,) E[X^order]."""
        ratio = log_gamma(self.k + order / self.c) - self._log_gamma
        return power(self.s, order) * exp(ratio)

    @cached_property
    def _log_gamma(self) -> FloatArray:
        """(R,) ln Γ(k)."""
        return log_gamma(self.k)

    @cached_property
    def _mean(self) -> FloatArray:
        """(R,) E[X]."""
        return self.moment(1)

    def excess(self, limit: FloatArray) -> FloatArray:
        """E[(X - L)+]."""
        return self._beyond(limit)[0]

    def _beyond(self, limit: FloatArray) -> tuple[FloatArray, FloatArray]:
        """E[(X - L)+] = E[X] Q(k + 1/c, t) - L Q(k, t), and P(X > L) = Q(k, t), with t = (L/s)^c.

        Q is the regularized upper incomplete gamma function; both have the factor t^k e^-t / Γ(k), times L and 1.
        """
        t = power(limit / self.s, self.c)
        front = exp(self.k * log(np.where(t > 0, t, 1e-300)) - t - self._log_gamma)
        both = np.stack([self.k + 1 / self.c + 0 * t, self.k + 0 * t])
        high = t >= both + 1
        tail = upper_fraction(both, np.where(high, t, both + 1)) * front if high.any() else np.zeros(both.shape)
        if not high.all():
            start = lower_series(both, np.where(high, 0.0, t)) * front
            whole = self._mean / np.where(limit > 0, limit, 1e-300) + 0 * t, np.ones_like(t)
            tail = np.where(high, tail, np.stack(whole) - start)
        return np.maximum(limit * (tail[0] - tail[1]), 0), np.maximum(tail[1], 0)

    def expected_distortion(self, steps: FloatArray, levels: int) -> FloatArray:
        """(R,) E[(X - Q(X))²], exact, of rounding to `levels` levels 0, Δ, ...: see distortion.py."""
        thresholds = (np.arange(1, levels)[:, None] - 0.5) * steps
        return np.asarray(self.moment(2) - 2 * steps * total(self.excess(thresholds), 0))


def closed_form_limit(density: GeneralizedGamma, levels: int, log_mass: FloatArray | float = 0.0) -> FloatArray:
    """L of the asymptotic condition, (R,); Δ = L / levels.

    With E[(X-L)+] ≈ f(L) / h², h = (c/s)(L/s)^(c-1) the rate at which log f falls, the condition becomes
    t - (k-2) ln t = ln(12 N² / (c Γ(k))) in t = (L/s)^c: Lambert's W solves it, branch 0 for k < 2 and
    branch -1 for k > 2. `log_mass` (R,): for a density that holds in the tail only, ln of its factor there.
    """
    right = log(12.0 * levels**2 / density.c) - density._log_gamma + log_mass
    t = larger_root(density.k - 2, right)
    return np.asarray(density.s * power(t, 1 / density.c))


def exact_limit(density: GeneralizedGamma, levels: int) -> FloatArray:
    """L of E[(X-L)+] / L = 1 / (12 N²), (R,): the left side falls from infinity.

    Newton's method on ln L, from the closed form on; a step that leaves what is known to hold the root becomes a bisection.
    """
    target = -log(12.0 * levels**2)
    low = log(density._mean) - 40.0  # E[(X-L)+] / L > 1 / 12 here
    # t where the tail holds less than any number of bits resolves
    far = 4 * (density.k + 1 / density.c) + 100.0
    high = log(density.s) + log(far) / density.c
    current = np.clip(log(closed_form_limit(density, levels)), low, high)
    for _ in range(_MOST_TURNS):
        limit = exp(current)
        excess, survival = density._beyond(limit)
        difference = log(np.maximum(excess, 1e-300)) - current - target
        low, high = np.where(difference > 0, current, low), np.where(difference > 0, high, current)
        following = current + difference / (1 + limit * survival / np.maximum(excess, 1e-300))
        following = np.where((following > low) & (following < high), following, (low + high) / 2)
        done = np.abs(following - current) <= 1e-12
        current = following
        if done.all():
            break
    return exp(current)


@lru_cache(maxsize=64)
def half_normal_limit(levels: int) -> float:
    """``exact_limit`` of the density with k = 1/2, c = 2 and s = 1, half of a Gaussian."""
    return float(exact_limit(GeneralizedGamma.of(0.5, 2.0, 1.0), levels)[0])


_FITS: WeakKeyDictionary[Side, GeneralizedGamma] = WeakKeyDictionary()


def fit(side: Side) -> GeneralizedGamma:
    """``fitted``, once for a side: two schemes and several numbers of levels use it."""
    if side not in _FITS:
        _FITS[side] = fitted(side)
    return _FITS[side]


def fitted(side: Side) -> GeneralizedGamma:
    """The density of maximum likelihood of each row of a distribution's side.

    For a given c the maximum is known: ln k - ψ(k) = ln E[x^c] - c E[ln x] and s^c = E[x^c] / k (Stacy and
    Mihram, Parameter estimation for a generalized gamma distribution, Technometrics 7(3), 1965), so the
    search is over c alone: on a grid over C_BOUNDS, then the top of the parabola through the best three. It
    has no start to choose and cannot diverge: a constant map ends at the bounds of k and c, as the narrowest
    peak there is. Rows of fewer than FEWEST_VALUES values get k = c = 1 and their mean as s; rows without
    values s = 1.
    """
    count = np.maximum(side.total, 1e-300)
    log_moments, mean_log = _log_moments(side, count)
    profile = _profile(_C_GRID, log_moments, mean_log[:, None])[0]
    best = np.clip(profile.argmax(1), 1, len(_C_GRID) - 2)
    row = np.arange(len(best))
    offset = _parabola_top(*(profile[row, best + shift] for shift in (-1, 0, 1)))
    c = _C_GRID[best] * power(_C_GRID[1] / _C_GRID[0], offset)
    left, centre, right = (log_moments[row, best + shift] for shift in (-1, 0, 1))
    log_moment = centre + offset * (right - left) / 2 + offset**2 * (right - 2 * centre + left) / 2
    _, k, log_s = _profile(c, log_moment, mean_log)
    enough = side.total >= FEWEST_VALUES
    mean = np.where(side.total > 0, side.sum / count, 1.0)
    s = np.where(enough, exp(log_s) * side.width, np.maximum(mean, np.finfo(float).tiny))
    return GeneralizedGamma(np.where(enough, k, 1.0), np.where(enough, c, 1.0), s)


def fit_tail(side: Side) -> tuple[GeneralizedGamma, FloatArray]:
    """The density with k = 1 that fits the tail beyond the body, and ln of the factor in front of it, (R,).

    The tail is the largest TAIL_FRACTION of the values, at least TAIL_VALUES of them, above a bin edge u.
    There factor · ggd(1, c, s) has the survival function P(X > u) exp((u^c - x^c) / s^c). For a given c the
    likelihood is largest at s^c = E[x^c - u^c | x > u], so that again c alone is searched, on the grid of
    `fit`.
    """
    wanted = np.minimum(np.maximum(TAIL_FRACTION * side.total, TAIL_VALUES), side.total)
    first = np.floor(side.quantile(wanted) / side.width * (1 - 1e-9)).astype(int)
    inside = np.arange(side.bins) >= first[:, None]
    start = first * side.width
    tail_atoms = side.atom_counts * (side.atoms >= start[:, None])
    tail = Side(side.counts * inside, side.width, side.atoms, tail_atoms)
    count = np.maximum(tail.total, 1e-300)
    log_moments, mean_log = _log_moments(tail, count)
    with np.errstate(divide="ignore"):
        starts = exp(_C_GRID * log(first.astype(float))[:, None])
    spread = np.maximum(exp(log_moments) - starts, 1e-12 * exp(log_moments))  # s^c in bin widths
    likelihood = log(_C_GRID) - log(spread) + (_C_GRID - 1) * mean_log[:, None]
    best = likelihood.argmax(1)
    row = np.arange(len(best))
    c, scale = _C_GRID[best], spread[row, best]
    log_mass = log(count / np.maximum(side.total, 1e-300)) + starts[row, best] / scale
    return GeneralizedGamma(np.ones_like(c), c, power(scale, 1 / c) * side.width), log_mass


def _log_moments(side: Side, count: FloatArray) -> tuple[FloatArray, FloatArray]:
    """ln E[x^c] over the grid of c, (R, G), and E[ln x], (R,), with x in bin widths."""
    powers, logs = _bin_powers(side.bins)
    sums = np.stack([total(row[:, None] * powers, 0) for row in side.counts])
    log_sums = total(side.counts * logs, 1)
    # Near zero F(x) ~ x^β with β = c k: far from uniform over the first bin if the density has a pole.
    first, second = np.maximum(side.counts[:, 0], 1e-300), side.counts[:, 1]
    beta = np.clip(log2(1 + second / first), 0.05, 3.0)
    sums += side.counts[:, :1] * ((beta / (beta + _C_GRID[:, None])).T - powers[0])
    log_sums += side.counts[:, 0] * (-1 / beta - logs[0])
    for atoms, times in zip(side.atoms.T, side.atom_counts.T, strict=True):
        if times.any():
            log_atom = log(np.where(times > 0, atoms / side.width, 1.0))
            sums += times[:, None] * exp(log_atom[:, None] * _C_GRID)
            log_sums += times * log_atom
    return log(np.maximum(sums, 1e-300)) - log(count)[:, None], log_sums / count


@lru_cache(maxsize=4)
def _bin_powers(bins: int) -> tuple[FloatArray, FloatArray]:
    """E[x^c] (bins, G) and E[ln x] (bins,) of a value that is uniform in [i, i + 1)."""
    edges = np.arange(bins + 1.0)
    powers = np.diff(power(edges[:, None], _C_GRID + 1), axis=0) / (_C_GRID + 1)
    return powers, np.diff(x_log_x(edges)) - 1


def _profile(c: FloatArray, log_moment: FloatArray, mean_log: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean log-likelihood with k and s at their best for c; and these, as k and ln s."""
    k = _gamma_shape(log_moment - c * mean_log)
    log_s = (log_moment - log(k)) / c
    likelihood = log(c) - log_gamma(k) - c * k * log_s + (c * k - 1) * mean_log - k
    return likelihood, k, log_s


def _gamma_shape(spread: FloatArray) -> FloatArray:
    """k of ln k - ψ(k) = spread, within K_BOUNDS."""
    log_spreads, log_shapes = _shape_table()
    return exp(_interpolated(log(np.maximum(spread, 1e-300)), log_spreads, log_shapes))


def _interpolated(x: FloatArray, points: FloatArray, values: FloatArray) -> FloatArray:
    """Values between ascending points, those of the ends beyond them."""
    x = np.clip(x, points[0], points[-1])
    i = np.clip(np.searchsorted(points, x, side="right") - 1, 0, len(points) - 2)
    share = (x - points[i]) / (points[i + 1] - points[i])
    return np.asarray(values[i] + share * (values[i + 1] - values[i]))


@lru_cache(maxsize=1)
def _shape_table() -> tuple[FloatArray, FloatArray]:
    log_shapes = np.linspace(log(K_BOUNDS[1]), log(K_BOUNDS[0]), 8192)
    shapes = exp(log_shapes)
    return log(log(shapes) - digamma(shapes)), log_shapes


def _parabola_top(left: FloatArray, centre: FloatArray, right: FloatArray) -> FloatArray:
    """Where the parabola through (-1, left), (0, centre), (1, right) is highest, within -1..1."""
    curvature = 2 * centre - left - right
    slope = (right - left) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        top = np.where(curvature > 0, slope / curvature, np.sign(slope))
    return np.asarray(np.clip(np.nan_to_num(top), -1.0, 1.0))
