"""Histograms merge exactly, and say the truth about the values that they have seen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.quantization.histogram import BINS, Histogram, merge

CHANNELS = 3
batches = st.lists(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(0, 6), st.just(CHANNELS)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False)
        | st.sampled_from([0.0, -0.0, 1.0, -1.0, 6.0, 1e-45, -1e-45]),
    ),
    max_size=5,
)


def histogram_of(parts: list[np.ndarray]) -> Histogram:
    histogram = Histogram.empty(CHANNELS)
    for part in parts:
        histogram.update(part)
    return histogram


@settings(deadline=None)
@given(batches, st.randoms(use_true_random=False))
def test_the_order_of_updates_does_not_matter(parts, random):
    shuffled = list(parts)
    random.shuffle(shuffled)
    assert histogram_of(shuffled) == histogram_of(parts)


@settings(deadline=None)
@given(batches, st.integers(0, 5))
def test_shards_merge_to_what_one_machine_would_have_counted(parts, split):
    assert merge(histogram_of(parts[:split]), histogram_of(parts[split:])) == histogram_of(parts)


@settings(deadline=None)
@given(batches, batches)
def test_merging_commutes_and_leaves_its_arguments_alone(first, second):
    left, right = histogram_of(first), histogram_of(second)
    before = left.copy(), right.copy()
    assert merge(left, right) == merge(right, left)
    assert (left, right) == before


@settings(deadline=None)
@given(batches)
def test_every_value_is_counted_once_and_zeros_exactly(parts):
    histogram = histogram_of(parts)
    values = np.concatenate([*parts, np.zeros((0, CHANNELS), np.float32)])
    assert histogram.samples.tolist() == [len(values)] * CHANNELS
    assert histogram.zeros.tolist() == (values == 0).sum(0).tolist()
    assert histogram.counts[:, BINS:].sum(1).tolist() == (values > 0).sum(0).tolist()
    if len(values):
        assert histogram.minimum.tolist() == values.min(0).tolist()
        assert histogram.maximum.tolist() == values.max(0).tolist()


@settings(deadline=None)
@given(batches)
def test_every_value_lies_in_the_range(parts):
    histogram = histogram_of(parts)
    limit = np.ldexp(1.0, histogram.exponent)
    assert (np.abs(histogram.minimum) < limit).all()
    assert (histogram.maximum < limit).all()


def test_the_range_doubles_by_adding_pairs_of_bins():
    values = np.random.default_rng(1).normal(size=(5000, 1)).astype(np.float32)
    grown = Histogram.of(values)
    grown.update([[1000.0]])
    at_once = Histogram.of(np.vstack([[[1000.0]], values]))
    assert grown == at_once
    assert grown.exponent.tolist() == [10]


def test_a_leading_shape_is_flattened_onto_the_channels():
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    assert Histogram.of(values) == Histogram.of(values.reshape(-1, 4))


def test_memory_does_not_grow_with_the_samples():
    histogram = Histogram.of(np.ones((1, 2)))
    size = sum(part.nbytes for part in vars(histogram).values())
    histogram.update(np.random.default_rng(0).normal(size=(100_000, 2)))
    assert sum(part.nbytes for part in vars(histogram).values()) == size


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_value_that_is_not_finite_is_refused_and_not_counted(bad):
    histogram = Histogram.of(np.ones((4, 2)))
    before = histogram.copy()
    with pytest.raises(GgdqError, match="conv_1: a value is not finite"):
        histogram.update([[1.0, bad]], where="conv_1")
    assert histogram == before


def test_another_number_of_channels_is_refused():
    with pytest.raises(GgdqError, match="3 channels where 2"):
        Histogram.empty(2).update(np.ones((1, 3)))
    with pytest.raises(GgdqError, match="do not merge"):
        merge(Histogram.empty(2), Histogram.empty(3))


@settings(deadline=None)
@given(batches.filter(lambda parts: sum(map(len, parts)) > 0), st.integers(0, 2))
def test_a_distribution_holds_as_many_values_as_were_counted(parts, channel):
    values = np.concatenate(parts)[:, channel]
    distribution = histogram_of(parts).channel_distributions()
    assert distribution.samples[channel] == len(values)
    assert distribution.positive.total[channel] == (values > 0).sum()
    assert (distribution.positive.counts >= 0).all()
    assert (distribution.negative.counts >= 0).all()


def test_survival_excess_and_moments_are_those_of_the_samples():
    values = np.random.default_rng(2).gamma(2.0, size=(200_000, 2)).astype(np.float32) * [1, 5]
    side = Histogram.of(values).channel_distributions().positive
    thresholds = np.array([[0.0, 0.5, 1.0, 3.0, 8.0], [0.0, 1.0, 4.0, 20.0, 60.0]])
    beyond = values.T[:, None, :] - thresholds[:, :, None]
    assert side.survival(thresholds) == pytest.approx((beyond > 0).sum(2), rel=2e-3, abs=2)
    assert side.excess(thresholds) == pytest.approx(np.maximum(beyond, 0).sum(2), rel=1e-3, abs=0.1)
    assert side.power == pytest.approx((values**2).sum(0), rel=1e-5)
    assert side.sum == pytest.approx(values.sum(0), rel=1e-5)
    assert side.quantile(np.array([200.0, 2000.0])) == pytest.approx(
        [np.quantile(values[:, 0], 0.999), np.quantile(values[:, 1], 0.99)], rel=1e-3
    )


def test_signed_values_keep_their_moments():
    values = np.random.default_rng(3).normal(0.3, 1.0, size=(100_000, 1))
    distribution = Histogram.of(values).distribution()
    assert distribution.mean[0] == pytest.approx(values.mean(), abs=1e-4)
    assert distribution.mean_square[0] == pytest.approx((values**2).mean(), rel=1e-4)


def test_constant_channels_are_exact():
    distribution = Histogram.of(np.tile([0.3, -7.0, 0.0], (10, 1))).channel_distributions()
    assert distribution.mean == pytest.approx([np.float32(0.3), -7.0, 0.0], rel=1e-15)
    assert distribution.positive.counts.sum() == 0


def test_scaling_is_what_dividing_the_data_would_have_given():
    values = np.random.default_rng(4).exponential(size=(50_000, 3)) * [0.1, 1.0, 30.0]
    steps = np.array([0.07, 1.3, 11.0])
    scaled = Histogram.of(values).scaled(steps).pooled()
    divided = Histogram.of(values / steps).distribution()
    thresholds = np.linspace(0, 8, 50)[None]
    assert scaled.positive.survival(thresholds) == pytest.approx(divided.positive.survival(thresholds), rel=3e-3, abs=3)
    assert scaled.mean_square == pytest.approx(divided.mean_square, rel=1e-4)


def test_the_tensor_is_the_sum_of_its_channels():
    values = np.random.default_rng(5).normal(size=(20_000, 4)) * [0.01, 1.0, 3.0, 100.0]
    whole = Histogram.of(values).distribution()
    flat = Histogram.of(values.reshape(-1, 1)).distribution()
    assert whole.samples == flat.samples
    assert whole.positive.maximum == flat.positive.maximum
    thresholds = np.linspace(0, 300, 40)[None]
    assert whole.negative.survival(thresholds) == pytest.approx(flat.negative.survival(thresholds), rel=1e-2, abs=5)
