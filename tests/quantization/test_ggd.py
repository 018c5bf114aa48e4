"""The generalized gamma density, its fit and its best steps, against SciPy, integration and brute force."""

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, special, stats

from effort import drawn
from ggdq_mcu.quantization import ggd
from ggdq_mcu.quantization.ggd import GeneralizedGamma, closed_form_limit, exact_limit, fit, fit_tail
from ggdq_mcu.quantization.histogram import Histogram, Side

SHAPES = list(product([0.4, 1.0, 2.0, 3.5, 8.0], [0.6, 1.0, 1.7, 3.0]))
LEVELS = [16, 64, 256]
shapes = pytest.mark.parametrize(("k", "c"), SHAPES)


def side_of(values: np.ndarray) -> Side:
    return Histogram.of(np.asarray(values).reshape(-1, 1)).channel_distributions().positive


def integral(function, density: stats.rv_continuous, start: float, end: float) -> float:
    """Over [start, end] in pieces of equal probability, so that no singularity or tail is missed."""
    inner = density.ppf(np.linspace(0, 1, 60)[1:-1])
    edges = np.unique(np.clip([start, *inner, *(inner[-1] * np.geomspace(1, 30, 20)), end], start, end))
    return sum(integrate.quad(function, a, b, limit=200)[0] for a, b in pairwise(edges))


@shapes
def test_density_and_moments_are_those_of_scipy(k, c):
    mine, theirs = GeneralizedGamma.of(k, c, 1.7), stats.gengamma(a=k, c=c, scale=1.7)
    x = np.geomspace(0.01, 20, 50)
    assert mine.density(x) == pytest.approx(theirs.pdf(x), rel=1e-9)
    assert mine.moment(1) == pytest.approx(theirs.mean(), rel=1e-9)
    assert mine.moment(2) == pytest.approx(theirs.moment(2), rel=1e-9)


@shapes
def test_the_mean_excess_is_its_integral(k, c):
    density = stats.gengamma(a=k, c=c, scale=0.3)
    for probability in (0.5, 0.1, 1e-4):
        limit = float(density.isf(probability))
        expected = integral(density.sf, density, limit, limit + 400 * float(density.mean()))
        mine = GeneralizedGamma.of(k, c, 0.3).excess(np.array([limit]))
        assert mine == pytest.approx(expected, rel=1e-5)


@shapes
def test_the_expected_distortion_is_its_integral(k, c):
    density, levels = stats.gengamma(a=k, c=c), 8
    step = float(density.isf(1e-2)) / levels

    def error(x: float) -> float:
        return (x - step * min(np.floor(x / step + 0.5), levels - 1)) ** 2 * density.pdf(x)

    thresholds = [(level - 0.5) * step for level in range(1, levels)]
    edges = [0.0, *thresholds, *(thresholds[-1] + density.mean() * np.geomspace(0.5, 400, 25))]
    expected = sum(integral(error, density, a, b) for a, b in pairwise(edges))
    mine = GeneralizedGamma.of(k, c, 1.0).expected_distortion(np.array([step]), levels)
    assert mine == pytest.approx(expected, rel=1e-4)


@shapes
@pytest.mark.parametrize("levels", [4, 16, 256, 65536])
def test_the_exact_limit_satisfies_the_condition(k, c, levels):
    density = GeneralizedGamma.of(k, c, 5.0)
    limit = exact_limit(density, levels)
    assert density.excess(limit) / limit == pytest.approx(1 / (12 * levels**2), rel=1e-5)


@shapes
@pytest.mark.parametrize("levels", LEVELS)
def test_the_closed_form_solves_the_asymptotic_condition(k, c, levels):
    t = closed_form_limit(GeneralizedGamma.of(k, c, 1.0), levels)[0] ** c
    right = np.log(12 * levels**2 / c) - special.gammaln(k)
    assert t - (k - 2) * np.log(t) == pytest.approx(right, rel=1e-9)
    assert t > k - 2  # the larger of two solutions: the other lies in the body of the density


@pytest.mark.parametrize("c", [0.6, 1.0, 3.0])
def test_the_closed_form_is_continuous_where_the_branch_changes(c):
    k = 2 + np.array([-1e-3, -1e-6, -1e-12, 0.0, 1e-12, 1e-6, 1e-3])
    limits = closed_form_limit(GeneralizedGamma.of(k, c, 1.0), 256)
    assert limits == pytest.approx(limits[3], rel=1e-3)
    assert limits[2:5] == pytest.approx(limits[3], rel=1e-9)


def test_a_condition_without_solution_gives_the_nearest_point():
    assert closed_form_limit(GeneralizedGamma.of(150.0, 1.0, 1.0), 2) == pytest.approx(148.0)


@shapes
@pytest.mark.parametrize("levels", LEVELS)
def test_the_exact_limit_is_the_minimum_found_by_brute_force(k, c, levels):
    """Of the distortion that the condition is the derivative of: Δ²/12 + E[((X-L)+)²]."""
    density = GeneralizedGamma.of(k, c, 1.0)
    found = exact_limit(density, levels)[0]
    limits = found * np.linspace(0.9, 1.1, 401)
    grid = found * np.concatenate([np.linspace(0.9, 1.1, 401), np.geomspace(1.1, 100, 20_000)])
    steps = np.diff(grid)
    excess = density.excess(grid)
    overload = 2 * np.cumsum((steps * (excess[1:] + excess[:-1]) / 2)[::-1])[::-1]
    distortion = (limits / levels) ** 2 / 12 + overload[:401]
    assert limits[distortion.argmin()] == pytest.approx(found, rel=2e-3)


SLACK_DB = {  # the theory is of high resolution; how far its steps are from the best of a real quantizer
    exact_limit: {16: 0.7, 64: 0.06, 256: 0.02},
    closed_form_limit: {16: 2.0, 64: 0.4, 256: 0.2},
}


@pytest.mark.parametrize(("k", "c"), [(k, c) for k, c in SHAPES if k * c > 0.3])
@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("limit_of", SLACK_DB)
def test_steps_are_nearly_as_good_as_the_best_of_a_quantizer(k, c, levels, limit_of):
    density = GeneralizedGamma.of(k, c, 1.0)

    def distortion_db(limit: float) -> float:
        return float(10 * np.log10(density.expected_distortion(np.array([limit / levels]), levels)[0]))

    limit = limit_of(density, levels)[0]
    best = min(distortion_db(limit * factor) for factor in np.geomspace(0.5, 2, 60))
    assert distortion_db(limit) - best < SLACK_DB[limit_of][levels]


def test_the_gaussian_of_the_literature():
    """Hui and Neuhoff's example: unit Gaussian, 256 levels, two-sided. Half of them describe |X|."""
    density = GeneralizedGamma.of(0.5, 2.0, np.sqrt(2))
    assert exact_limit(density, 128) / 128 == pytest.approx(0.03066, abs=5e-6)
    assert closed_form_limit(density, 128) / 128 == pytest.approx(0.03093, abs=5e-6)


@shapes
def test_the_fit_finds_the_density_that_the_samples_came_from(k, c):
    density = stats.gengamma(a=k, c=c, scale=2.0)
    side = side_of(density.rvs(100_000, random_state=7))
    found = fit(side)
    x = density.ppf(np.linspace(0.02, 0.98, 30))
    assert stats.gengamma.cdf(x, a=found.k[0], c=found.c[0], scale=found.s[0]) == pytest.approx(
        density.cdf(x), abs=0.02
    )


@shapes
def test_no_other_parameters_are_more_likely(k, c):
    samples = stats.gengamma(a=k, c=c, scale=0.4).rvs(20_000, random_state=3)
    found = fit(side_of(samples))

    def likelihood(k: float, c: float, s: float) -> float:
        return float(stats.gengamma.logpdf(samples, a=k, c=c, scale=s).mean())

    start = [found.k[0], found.c[0], found.s[0]]
    better = optimize.minimize(
        lambda logs: -likelihood(*np.exp(logs)), np.log(start), method="Nelder-Mead", options={"maxiter": 400}
    )
    assert likelihood(*start) > -better.fun - 2e-3


def test_rows_are_fitted_on_their_own():
    rng = np.random.default_rng(11)
    values = np.stack([rng.exponential(size=4000), rng.gamma(4.0, size=4000), np.zeros(4000)], 1)
    together = fit(Histogram.of(values).channel_distributions().positive)
    for row in range(3):
        alone = fit(side_of(values[:, row]))
        assert (together.k[row], together.c[row], together.s[row]) == pytest.approx(
            (alone.k[0], alone.c[0], alone.s[0]), rel=1e-9
        )


def test_a_constant_map_ends_as_a_narrow_peak():
    found = fit(side_of(np.full(1000, 3.0)))
    assert found.moment(1) == pytest.approx(3.0, rel=0.01)
    assert exact_limit(found, 256) == pytest.approx(3.0, rel=0.1)


def test_few_values_fall_back_on_the_exponential_density():
    found = fit(side_of(np.array([1.0, 2.0, 6.0])))
    assert (found.k[0], found.c[0]) == (1.0, 1.0)
    assert found.s[0] == pytest.approx(3.0, rel=1e-3)


def test_a_map_that_is_never_active_gets_the_unit_exponential():
    found = fit(side_of(np.zeros(100)))
    assert (found.k[0], found.c[0], found.s[0]) == (1.0, 1.0, 1.0)


@settings(deadline=None, max_examples=drawn(200))
@given(
    st.lists(st.floats(2**-90, 2.0**90, width=32) | st.sampled_from([0.0, 1.0, 6.0]), min_size=1, max_size=30),
    st.integers(1, 1000),
)
def test_the_fits_converge_on_anything(values, times):
    side = side_of(np.repeat(np.array(values, np.float32), times))
    tail, log_mass = fit_tail(side)
    assert np.isfinite(log_mass).all()
    for density in (fit(side), tail):
        parameters = np.concatenate([density.k, density.c, density.s])
        assert np.isfinite(parameters).all()
        assert (parameters > 0).all()
        for limit in (exact_limit(density, 256), closed_form_limit(density, 256)):
            assert np.isfinite(limit).all()
            assert (limit > 0).all()


@pytest.mark.parametrize("c", [0.7, 1.0, 2.0])
def test_the_tail_of_a_mixture_is_found_where_the_body_hides_it(c):
    """A few per cent of a wide density under a narrow one: the step follows the wide one."""
    rng = np.random.default_rng(5)
    wide = stats.weibull_min(c, scale=10.0)
    mixture = np.concatenate([rng.exponential(0.5, size=190_000), wide.rvs(10_000, random_state=rng)])
    density, log_mass = fit_tail(side_of(mixture))
    x = np.array([wide.isf(p) for p in (0.02, 0.005, 0.001)])
    survival = np.exp(log_mass) * special.gammaincc(density.k, (x / density.s) ** density.c)
    assert survival == pytest.approx(0.05 * wide.sf(x), rel=0.4)


def test_bounds_hold_for_every_fit():
    assert ggd.C_BOUNDS[0] < 1 < ggd.C_BOUNDS[1]
    lognormal = fit(side_of(np.exp(np.random.default_rng(0).normal(size=20_000))))
    assert ggd.K_BOUNDS[0] <= lognormal.k[0] <= ggd.K_BOUNDS[1]
    assert lognormal.c[0] >= ggd.C_BOUNDS[0] / 1.05
