"""Room for values that no sample had."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ggdq_mcu.quantization.distortion import Levels, distortion, squared_error
from ggdq_mcu.quantization.headroom import Peaks, Room, expected_errors
from ggdq_mcu.quantization.histogram import Histogram
from ggdq_mcu.quantization.schemes import scheme

maps = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 20), st.integers(1, 4)), elements=st.floats(-100, 100, width=32)
)


def steps_of(values: np.ndarray, levels: Levels, signed: bool = False) -> tuple[float, float]:
    """The scheme's step of 8 bits, and the widened one."""
    distribution = Histogram.of(values.reshape(-1, 1)).distribution()
    step = scheme("ggd-tuned").step(distribution, 8, signed)
    return step, float(Room.of(step, levels, distribution, Peaks.of(values).pooled()).step(1.0)[0])


@given(maps.filter(lambda values: len(values) > 1), st.integers(1, 19))
def test_peaks_of_parts_merge_to_those_of_all(values: np.ndarray, cut: int) -> None:
    cut = min(cut, len(values) - 1)
    whole, first, second = (Peaks.of(part) for part in (values, values[:cut], values[cut:]))
    merged = first.merged(second)
    np.testing.assert_array_equal(merged.above, whole.above)
    np.testing.assert_array_equal(merged.below, whole.below)


def test_peaks_of_channels_pool_to_those_of_the_scaled_map() -> None:
    values, steps = np.random.default_rng(0).normal(size=(7, 5, 3)).astype(np.float32), np.array([0.5, 1.0, 4.0])
    pooled, expected = Peaks.of(values).scaled(steps).pooled(), Peaks.of((values / steps).reshape(7, -1, 1))
    np.testing.assert_array_equal(pooled.above, expected.above)
    np.testing.assert_array_equal(pooled.below, expected.below)


@given(maps)
def test_steps_grow_up_to_fourfold(values: np.ndarray) -> None:
    step, wide = steps_of(values, Levels.of(8, True), signed=True)
    assert step <= wide <= 4 * step * (1 + 1e-12)


@pytest.mark.parametrize(
    "values", [np.ones((50, 3)), np.full((60, 4), 2.0), np.zeros((5, 2)), np.tile([0.0, 6.0], (40, 1))]
)
def test_a_map_that_ends_sharply_needs_no_room(values: np.ndarray) -> None:
    step, wide = steps_of(values, Levels.of(8))
    assert wide == step


@pytest.mark.parametrize("kind", ["laplace", "normal", "gumbel"])
def test_small_maps_lose_less_on_new_samples(kind: str) -> None:
    """Ten outputs, 100 samples, 100 times: the mean error on others falls; by how much depends on the tail."""
    generator = np.random.default_rng(0)
    draw = {"laplace": generator.laplace, "normal": generator.normal, "gumbel": generator.gumbel}[kind]
    new = Histogram.of(draw(size=(200_000, 1))).distribution()
    levels = Levels.of(8, True)
    found = [steps_of(draw(size=(100, 10)), levels, signed=True) for _ in range(100)]
    before, after = (
        float(np.mean([distortion(new, [step], levels) for step in steps])) for steps in zip(*found, strict=True)
    )
    assert after < 0.9 * before


@pytest.mark.parametrize("count", [1, 2, 5, 20])
def test_few_loud_and_quiet_samples_lose_less_on_new_ones(count: int) -> None:
    """Maps of 200 values whose loudness differs from sample to sample: in decibels, over 60 draws."""
    generator, levels = np.random.default_rng(2), Levels.of(8)

    def draw(samples: int) -> np.ndarray:
        return np.abs(generator.normal(size=(samples, 200))) * generator.lognormal(0, 0.4, (samples, 1))

    new = Histogram.of(draw(5000).reshape(-1, 1)).distribution()
    found = [steps_of(draw(count), levels) for _ in range(60)]
    before, after = (
        float(np.mean(10 * np.log10([distortion(new, [step], levels)[0] for step in steps])))
        for steps in zip(*found, strict=True)
    )
    assert after < before - 0.5


def test_what_a_bounded_map_did_not_show_is_not_made_up() -> None:
    """Twenty samples of a map that ends at 1, of 500 values each: the step is next to the best there is."""
    generator, levels = np.random.default_rng(3), Levels.of(8)
    values = generator.beta(2, 1, size=(20, 500))
    step, wide = steps_of(values, levels)
    assert wide < 1.1 * step


def test_large_maps_keep_the_step() -> None:
    values = np.maximum(np.random.default_rng(1).laplace(size=(100, 20_000)), 0)
    step, wide = steps_of(values, Levels.of(8))
    assert wide == step


@given(maps)
def test_costs_add_up_and_weight_widens(values: np.ndarray) -> None:
    """Without peaks, rounding and clipping together are the distortion; the more clipping weighs, the wider the step."""
    levels = Levels.of(8, True)
    distribution = Histogram.of(values.reshape(-1, 1)).distribution()
    room = Room.of(scheme("minmax").step(distribution, 8, True) / 2, levels, distribution, None)
    np.testing.assert_allclose(room.rounded + room.clipped, squared_error(distribution, room.steps, levels))
    assert np.all(np.diff(room.clipped, axis=1) <= 0)
    steps = [float(room.step(weight)[0]) for weight in (1.0, 2.0, 4.0, 8.0)]
    assert steps == sorted(steps)


@pytest.mark.parametrize("share", [0.0, 1.0, 2.5, 4.0, 5.0, 7.0])
def test_the_tail_is_the_pareto_density_of_the_module(share: float) -> None:
    """Forty samples of one value each, 1 to 40: the peaks of the highest twelve decide, shrunk towards the prior's two."""
    values = np.arange(1.0, 41.0, dtype=np.float32)[:, None]
    distribution, levels = Histogram.of(values).distribution(), Levels.of(8)
    threshold = 29.0
    mean = (sum(range(12)) + 2 * 0.15 * threshold) / (11 + 2)
    limit = threshold + share * mean
    steps = np.array([[limit / levels.positive]])
    rounded, clipped = expected_errors(distribution, steps, levels, Peaks.of(values))
    seen_rounded, seen = expected_errors(distribution, steps, levels, None)
    beyond, above = (float(distribution.positive.square_excess(np.array([[t]]))[0, 0]) for t in (threshold, limit))
    # xi = -1/4 and sigma = 5/4 of the mean excess: (1 - (t - u) / (5 mean))^6 of what lies beyond the threshold.
    expected = max(beyond * max(1 - share / 5, 0.0) ** 6 - above, 0.0)
    assert float((clipped - seen)[0, 0]) == pytest.approx(
        expected, rel=1e-9, abs=1e-9
    )  # differences of sums in float64
    np.testing.assert_array_equal(rounded, seen_rounded)
