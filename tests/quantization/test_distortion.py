"""The distortion computed from a distribution is the one that quantizing the samples would give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.quantization.distortion import Levels, distortion, sqnr_db, squared_error
from ggdq_mcu.quantization.histogram import Distribution, Histogram, Side


def quantized(values: np.ndarray, step: float, levels: Levels) -> np.ndarray:
    magnitude = np.floor(np.abs(values) / step + 0.5)
    top = np.where(values < 0, levels.negative, levels.positive)
    return np.sign(values) * np.minimum(magnitude, top) * step


def integrated_error(side: Side, step: float, top: int) -> float:
    """Σ (x - Q(x))² of the first row by the midpoint rule, very fine."""
    fine = 256
    middles = (np.arange(side.bins * fine) + 0.5) * side.width[0] / fine
    error = (middles - np.minimum(np.floor(middles / step + 0.5), top) * step) ** 2
    inside = (side.counts[0] * error.reshape(-1, fine).mean(1)).sum()
    atoms = side.atoms[0]
    return float(inside + (side.atom_counts[0] * (atoms - quantized(atoms, step, Levels(0, top))) ** 2).sum())


@pytest.mark.parametrize(
    ("bits", "signed", "zero_point", "expected"),
    [
        (8, False, 0, Levels(0, 255)),
        (8, True, 0, Levels(128, 127)),
        (8, True, -128, Levels(0, 255)),
        (8, True, 28, Levels(156, 99)),
        (2, True, 0, Levels(2, 1)),
        (16, True, 0, Levels(32768, 32767)),
    ],
)
def test_levels_on_both_sides_of_the_zero_point(bits, signed, zero_point, expected):
    assert Levels.of(bits, signed, zero_point) == expected


@pytest.mark.parametrize(("bits", "zero_point"), [(1, 0), (17, 0), (8, 128), (8, -129)])
def test_impossible_formats_are_refused(bits, zero_point):
    with pytest.raises(GgdqError):
        Levels.of(bits, True, zero_point)


@pytest.mark.parametrize("top", [0, 1, 3, 15, 255, 2047])
@pytest.mark.parametrize("part", [0.02, 0.3, 1.0, 1.7])
def test_the_mean_excess_identity_is_the_integral_over_the_bins(top, part):
    side = Histogram.of(np.random.default_rng(0).gamma(0.7, size=(4000, 1))).channel_distributions().positive
    step = part * side.maximum[0] / max(top, 1)
    distribution = Distribution(side, Histogram.of(np.zeros((1, 1))).channel_distributions().negative, np.zeros(1))
    error = squared_error(distribution, np.array([step]), Levels(0, top))[0]
    assert error == pytest.approx(integrated_error(side, step, top), rel=2e-3)


@pytest.mark.parametrize("top", [4095, 65535])
@pytest.mark.parametrize("part", [0.3, 1.0])
def test_steps_below_the_bins_are_within_a_twentieth_of_a_decibel(top, part):
    side = Histogram.of(np.random.default_rng(1).gamma(2.0, size=(20_000, 1))).channel_distributions().positive
    step = part * side.maximum[0] / top
    distribution = Distribution(side, Histogram.of(np.zeros((1, 1))).channel_distributions().negative, np.zeros(1))
    error = squared_error(distribution, np.array([step]), Levels(0, top))[0]
    assert 10 * np.log10(error / integrated_error(side, step, top)) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("bits", [4, 5, 6, 7, 8, 16])
@pytest.mark.parametrize("zero_point", [0, 3])
def test_the_sqnr_is_that_of_the_samples(bits, zero_point):
    values = np.random.default_rng(2).laplace(size=(100_000, 1)).astype(np.float32)
    levels = Levels.of(bits, True, zero_point)
    distribution = Histogram.of(values).distribution()
    for part in (0.3, 1.0):
        step = part * np.abs(values).max() / levels.positive
        noise = (values - quantized(values, step, levels)) ** 2
        expected = 10 * np.log10((values**2).sum() / noise.sum())
        assert sqnr_db(distribution, np.array([step]), levels)[0] == pytest.approx(expected, abs=0.05)


def test_columns_are_independent_quantizers_and_rows_independent_channels():
    values = np.random.default_rng(3).exponential(size=(3000, 2)) * [1, 9]
    distribution = Histogram.of(values).channel_distributions()
    steps, levels = np.array([[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]]), Levels.of(4)
    together = distortion(distribution, steps, levels)
    assert together.shape == (2, 3)
    for column in range(3):
        assert together[:, column] == pytest.approx(distortion(distribution, steps[:, column], levels), rel=1e-9)
    alone = Histogram.of(values[:, 1:]).channel_distributions()
    assert together[1] == pytest.approx(distortion(alone, steps[1:], levels)[0], rel=1e-9)


def test_zeros_cost_nothing_and_count_as_samples():
    values = np.random.default_rng(4).exponential(size=(1000, 1))
    step, levels = np.array([0.05]), Levels.of(8)
    dense = distortion(Histogram.of(values).distribution(), step, levels)
    sparse = distortion(Histogram.of(np.vstack([values, np.zeros((3000, 1))])).distribution(), step, levels)
    assert sparse == pytest.approx(dense / 4)


def test_a_clipped_activation_whose_bound_is_a_level_is_exact_there():
    """A ReLU6 piles up on 6, and 6 = 255 steps."""
    distribution = Histogram.of(np.full((100, 1), 6.0)).distribution()
    assert squared_error(distribution, np.array([6 / 255]), Levels.of(8)) == pytest.approx(0, abs=1e-20)
    assert sqnr_db(Histogram.of(np.zeros((5, 1))).distribution(), np.array([1.0]), Levels.of(8)) == np.inf


def test_values_on_a_side_without_levels_are_lost():
    distribution = Histogram.of(np.array([[-3.0], [2.0]])).distribution()
    assert squared_error(distribution, np.array([1.0]), Levels.of(8)) == pytest.approx(9.0)


@settings(deadline=None)
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(1)), elements=st.floats(-1e3, 1e3, width=32)),
    st.floats(1e-3, 1e3),
    st.integers(2, 11),
    st.booleans(),
)
def test_an_error_is_never_negative_and_within_a_bin_of_the_truth(values, step, bits, signed):
    levels = Levels.of(bits, signed)
    histogram = Histogram.of(values)
    error = squared_error(histogram.channel_distributions(), np.array([step]), levels)[0]
    exact = values.astype(np.float64)
    truth = ((exact - quantized(exact, step, levels)) ** 2).sum()
    width = float(np.ldexp(1.0, histogram.exponent[0])) / 2048
    # A value moves by at most a bin, and the magnitude of its error by no more.
    largest = np.sqrt(max(truth, error)) + width
    assert 0 <= error <= truth + len(values) * width * (2 * largest + width) + 1e-9 * float((exact**2).sum())
    assert error >= truth - len(values) * width * (2 * largest + width) - 1e-9 * float((exact**2).sum())
