"""Every scheme gives a usable step for anything, and the tuned one is never beaten."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy import special, stats

from effort import drawn
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.quantization import schemes
from ggdq_mcu.quantization.distortion import Levels, sqnr_db, squared_error
from ggdq_mcu.quantization.ggd import GeneralizedGamma
from ggdq_mcu.quantization.histogram import Distribution, Histogram
from ggdq_mcu.quantization.schemes import DEFAULT, SCHEMES, scheme, signed_format

each_scheme = pytest.mark.parametrize("name", SCHEMES)
maps = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 60), st.just(2)),
    elements=st.floats(-(2**60), 2**60, width=32) | st.floats(-1, 1, width=32) | st.sampled_from([0.0, 6.0, 1.0]),
)
formats = st.tuples(st.integers(2, 16), st.booleans(), st.just(0)) | st.tuples(
    st.just(8), st.just(True), st.integers(-128, 127)
)


def rectified_mixture(seed: int, count: int = 60_000) -> np.ndarray:
    """Channels of different scale and tail, cut off at zero: what a rectified feature map is like."""
    rng = np.random.default_rng(seed)
    scales = rng.lognormal(sigma=0.8, size=8)
    values = rng.normal(size=(count // 8, 8)) * scales + rng.normal(size=8) * 0.5
    return np.maximum(values * np.exp(0.3 * rng.normal(size=values.shape)), 0).astype(np.float32)


def distribution_of(values: np.ndarray) -> Distribution:
    return Histogram.of(values.reshape(-1, 1)).distribution()


def sqnr_of_samples(values: np.ndarray, step: float, levels: Levels) -> float:
    exact = values.astype(np.float64)
    quantized = np.clip(np.floor(exact / step + 0.5), -levels.negative, levels.positive) * step
    return float(10 * np.log10((exact**2).sum() / ((exact - quantized) ** 2).sum()))


def brute_force_db(values: np.ndarray, levels: Levels) -> float:
    largest = np.abs(values).max() / levels.positive
    return max(sqnr_of_samples(values, largest * part, levels) for part in np.geomspace(0.03, 1.02, 400))


def test_the_schemes_are_those_promised_and_cite_their_sources():
    assert list(SCHEMES) == [
        "minmax", "pow2", "percentile", "kl", "laplace", "gauss", "ggd", "ggd-exact", "ggd-tail", "mse",
        "ggd-tuned",
    ]  # fmt: skip
    assert DEFAULT in SCHEMES
    assert all(each.source for each in SCHEMES.values())


def test_an_unknown_scheme_is_an_error_that_names_the_others():
    with pytest.raises(GgdqError, match=r"no scheme 'min'; choose one of minmax, .*ggd-tuned"):
        scheme("min")


@each_scheme
@settings(deadline=None, max_examples=drawn(30))
@given(maps, formats)
def test_steps_are_positive_and_finite_for_any_map(name, values, form):
    steps = SCHEMES[name].steps(Histogram.of(values).channel_distributions(), *form)
    assert np.isfinite(steps).all()
    assert (steps > 0).all()


@settings(deadline=None, max_examples=drawn(60))
@given(maps, formats)
def test_no_scheme_beats_the_tuned_one_on_any_channel(values, form):
    distribution, levels = Histogram.of(values).channel_distributions(), Levels.of(*form)
    tuned = squared_error(distribution, SCHEMES["ggd-tuned"].steps(distribution, *form), levels)
    for other in SCHEMES.values():
        assert (tuned <= squared_error(distribution, other.steps(distribution, *form), levels)).all(), other.name


@each_scheme
def test_a_map_that_is_always_zero_gets_the_step_of_the_unit_interval(name):
    values = np.stack([np.zeros(50), np.ones(50)], 1)
    distribution = Histogram.of(values).channel_distributions()
    assert SCHEMES[name].steps(distribution, 8)[0] == 1 / 255
    assert SCHEMES[name].steps(distribution, 8, signed=True)[0] == 1 / 128


@each_scheme
def test_bits_outside_of_2_to_16_are_refused(name):
    for bits in (1, 17):
        with pytest.raises(GgdqError):
            SCHEMES[name].steps(distribution_of(np.ones(3)), bits)


@each_scheme
@pytest.mark.parametrize("bits", [3, 8])
def test_a_channel_does_not_depend_on_its_neighbours(name, bits):
    values = rectified_mixture(0)
    together = SCHEMES[name].steps(Histogram.of(values).channel_distributions(), bits)
    for channel in (0, 5):
        alone = SCHEMES[name].steps(Histogram.of(values[:, [channel]]).channel_distributions(), bits)
        assert together[channel] == pytest.approx(alone[0], rel=1e-6)


@each_scheme
@pytest.mark.parametrize("signed", [False, True])
def test_a_larger_map_has_a_larger_step_in_proportion(name, signed):
    values = rectified_mixture(1)
    small = SCHEMES[name].step(distribution_of(values), 8, signed)
    assert SCHEMES[name].step(distribution_of(values * 8), 8, signed) == pytest.approx(8 * small, rel=1e-9)


@each_scheme
def test_a_symmetric_map_and_its_mirror_image_have_one_step(name):
    values = np.random.default_rng(2).laplace(size=20_000)
    step, mirrored = (SCHEMES[name].step(distribution_of(v), 8, signed=True) for v in (values, -values))
    assert step == pytest.approx(mirrored, rel=0.02)


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8])
@pytest.mark.parametrize("seed", range(4))
def test_the_tuned_step_is_within_a_tenth_of_a_decibel_of_brute_force_on_the_samples(bits, seed):
    values, levels = rectified_mixture(seed), Levels.of(bits)
    best = brute_force_db(values, levels)
    for name in ("mse", "ggd-tuned"):
        step = SCHEMES[name].step(Histogram.of(values).distribution(), bits)
        assert sqnr_of_samples(values, step, levels) > best - 0.05


def test_at_sixteen_bits_it_is_still_within_half_a_decibel():
    values, levels = rectified_mixture(7), Levels.of(16)
    step = SCHEMES["ggd-tuned"].step(Histogram.of(values).distribution(), 16)
    assert sqnr_of_samples(values, step, levels) > brute_force_db(values, levels) - 0.5


def test_the_tuned_step_of_a_signed_map_is_within_a_tenth_of_a_decibel():
    values, levels = np.random.default_rng(3).standard_t(5, size=100_000), Levels.of(8, True)
    step = SCHEMES["ggd-tuned"].step(distribution_of(values), 8, signed=True)
    assert sqnr_of_samples(values, step, levels) > brute_force_db(values, levels) - 0.1


def test_minmax_puts_the_largest_value_on_the_largest_level():
    assert SCHEMES["minmax"].step(distribution_of(np.array([0.1, 25.5])), 8) == pytest.approx(0.1)
    assert SCHEMES["minmax"].step(distribution_of(np.array([-12.7, 5.0])), 8, signed=True) == pytest.approx(0.1)
    assert SCHEMES["minmax"].step(distribution_of(np.array([-1.0, 2.0])), 8, True, -28) == pytest.approx(2 / 155)


@pytest.mark.parametrize("largest", [0.9, 255.0, 256.0, 3.0])
def test_powers_of_two_clip_nothing_and_half_of_them_would(largest):
    step = SCHEMES["pow2"].step(distribution_of(np.array([0.01, largest])), 8)
    assert np.log2(step) == np.round(np.log2(step))
    assert step / 2 * 255 < largest <= step * 255


def test_the_percentile_clips_a_thousandth_of_the_active_values():
    values = rectified_mixture(4)
    limit = SCHEMES["percentile"].step(Histogram.of(values).distribution(), 8) * 255
    assert (values > limit).sum() / (values > 0).sum() == pytest.approx(1e-3, rel=0.05)


def test_the_divergence_is_that_of_the_definition():
    counts = np.random.default_rng(5).poisson(30 * np.exp(-np.arange(64) / 12)).astype(float)
    counts[[3, 4, 40]] = 0
    tables = np.cumsum([counts, counts > 0, special.xlogy(counts, counts)], 1)
    tables = np.pad(tables, ((0, 0), (1, 0)))[:, :, None]
    levels, ends = 8, np.array([8, 24, 60, 64])
    found = schemes._divergences(tables, ends, levels)[:, 0]
    for end, divergence in zip(ends, found, strict=True):
        reference = counts[:end].copy()
        reference[-1] += counts[end:].sum()
        candidate = np.zeros(end)
        edges = [level * end // levels for level in range(levels + 1)]
        for start, stop in pairwise(edges):
            filled = np.flatnonzero(counts[start:stop]) + start
            if len(filled):
                candidate[filled] = counts[start:stop].sum() / len(filled)
        expected = stats.entropy(reference, candidate)
        assert divergence == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "k", "c"),
    [
        ("gauss", 0.5, 2.0),
        ("laplace", 1.0, 1.0),
        ("ggd", 0.8, 1.5),
        ("ggd-exact", 2.5, 0.9),
        ("ggd-tail", 1.0, 0.8),
    ],
)
@pytest.mark.parametrize("bits", [6, 8])
def test_a_closed_form_is_right_where_its_model_is(name, k, c, bits):
    values = stats.gengamma(a=k, c=c, scale=3.0).rvs(200_000, random_state=6)
    step = SCHEMES[name].step(distribution_of(values), bits)
    density = GeneralizedGamma.of(k, c, 3.0)
    least = min(density.expected_distortion(step * factor, 1 << bits) for factor in np.geomspace(0.6, 1.7, 60))
    assert 10 * np.log10(density.expected_distortion(np.array([step]), 1 << bits) / least) < 0.15


def format_db(values: np.ndarray, bits: int, step: float, zero_point: int) -> float:
    return sqnr_of_samples(values, step, Levels.of(bits, True, zero_point))


@each_scheme
def test_a_signed_format_is_never_worse_than_the_symmetric_one(name):
    for shift in (0.0, 0.7, -2.0, 6.0):
        distribution = distribution_of(np.random.default_rng(8).normal(shift, 1.0, size=30_000))
        step, zero_point = signed_format(distribution, 8, SCHEMES[name])
        symmetric = sqnr_db(distribution, SCHEMES[name].steps(distribution, 8, True), Levels.of(8, True))
        chosen = sqnr_db(distribution, np.array([step]), Levels.of(8, True, zero_point))
        assert chosen >= symmetric


def test_an_asymmetric_map_becomes_affine_and_gains():
    values = np.random.default_rng(9).normal(2.0, 1.0, size=50_000)
    step, zero_point = signed_format(distribution_of(values), 8, SCHEMES[DEFAULT])
    assert -128 < zero_point < -60
    symmetric = SCHEMES[DEFAULT].step(distribution_of(values), 8, signed=True)
    assert format_db(values, 8, step, zero_point) > format_db(values, 8, symmetric, 0) + 3
    best = max(
        format_db(values, 8, (values.max() - min(values.min(), 0)) / 255 * part, z)
        for z in range(-127, -50, 3)
        for part in np.linspace(0.7, 1.0, 10)
    )
    assert format_db(values, 8, step, zero_point) > best - 0.1


def test_a_map_without_negative_values_gets_every_level():
    step, zero_point = signed_format(distribution_of(rectified_mixture(5)), 8, SCHEMES[DEFAULT])
    assert zero_point == -128
    assert step == SCHEMES[DEFAULT].step(distribution_of(rectified_mixture(5)), 8)


def test_a_symmetric_map_stays_symmetric_and_a_zero_map_too():
    assert signed_format(distribution_of(np.zeros(9)), 8, SCHEMES[DEFAULT]) == (1 / 128, 0)
    values = np.random.default_rng(10).normal(size=20_001)
    _, zero_point = signed_format(distribution_of(np.concatenate([values, -values])), 8, SCHEMES["minmax"])
    assert abs(zero_point) <= 1


def test_integers_in_an_image_are_represented_exactly():
    pixels = np.random.default_rng(11).integers(0, 256, size=(4000, 3)).astype(np.float32)
    assert SCHEMES["minmax"].step(Histogram.of(pixels).distribution(), 8) == 1.0


@pytest.mark.parametrize("bits", [12, 16])
def test_more_levels_than_bins_of_the_divergence_clip_nothing(bits: int) -> None:
    values = np.random.default_rng(4).exponential(3.0, 500).astype(np.float32)
    distribution = Histogram.of(values[:, None]).distribution()
    assert scheme("kl").step(distribution, bits) == pytest.approx(values.max() / (2**bits - 1), rel=1e-12)
