"""Fraction lengths are those of the smallest squared error, found here by trying every one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.quantization.fraction_length import channel_fraction_lengths, quantize, tensor_fraction_length

weights = arrays.arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(1, 4)),
    elements=st.floats(-100, 100) | st.floats(-0.01, 0.01) | st.sampled_from([0.0, 1.0, -1.0, 0.5, 0.9]),
)


def error_of(values: np.ndarray, length: int, bits: int, importance: np.ndarray | float = 1.0) -> float:
    difference = np.ldexp(quantize(values, length, bits).astype(float), -length) - values
    return float((importance * difference**2).sum())


@settings(deadline=None)
@given(weights, st.integers(2, 16), st.integers(-8, 0), st.integers(0, 31))
def test_no_fraction_length_within_the_bounds_has_a_smaller_error(values, bits, low, high):
    found = tensor_fraction_length(values, bits, bounds=(low, high))
    assert low <= found <= high
    errors = [error_of(values, length, bits) for length in range(low, high + 1)]
    if values.any():
        assert found == high - int(np.argmin(errors[::-1]))
    else:
        assert found == min(max(bits - 1, low), high)


@settings(deadline=None)
@given(weights, st.integers(2, 16), st.data())
def test_importance_decides_which_errors_count(values, bits, data):
    importance = data.draw(arrays.arrays(np.float64, values.shape[1], elements=st.floats(0, 1e3)))
    found = tensor_fraction_length(values, bits, importance)
    least = min(error_of(values, length, bits, importance) for length in range(32))
    assert error_of(values, found, bits, importance) <= least * (1 + 1e-12)


@settings(deadline=None)
@given(weights, st.integers(2, 16))
def test_channels_are_tensors_of_their_own(values, bits):
    expected = [tensor_fraction_length(column, bits) for column in values.T]
    assert channel_fraction_lengths(values, bits).tolist() == expected
    assert channel_fraction_lengths(values.T, bits, axis=0).tolist() == expected


def test_a_kernel_has_one_length_for_each_output_channel():
    kernel = np.random.default_rng(0).normal(size=(3, 3, 8, 5)) * [1, 0.1, 10, 0.01, 0]
    lengths = channel_fraction_lengths(kernel, 8)
    assert lengths.shape == (5,)
    assert lengths[2] < lengths[0] < lengths[1] < lengths[3]
    assert lengths[4] == 7
    quantized = quantize(kernel, lengths, 8)
    assert np.abs(quantized).max((0, 1, 2))[:4].min() > 60
    assert np.ldexp(quantized, -lengths) == pytest.approx(kernel, abs=np.abs(kernel).max() / 50)


def test_letting_one_outlier_saturate_can_be_better():
    values = np.append(np.random.default_rng(1).normal(size=100_000), 9.0)
    assert tensor_fraction_length(values, 4, bounds=(-4, 31)) == 1  # 9 alone would need -1
    assert tensor_fraction_length(values[-1:], 4, bounds=(-4, 31)) == -1


def test_the_larger_of_equally_good_lengths():
    assert tensor_fraction_length(np.array([1.0, -2.0, 0.5]), 8) == 6


def test_rounding_up_to_a_level_that_does_not_exist_is_seen():
    assert tensor_fraction_length(np.array([0.9]), 2) == 0


def test_rounding_is_half_up_and_saturates():
    values = np.array([0.5, -0.5, 1.5, -1.5, 126.6, 200.0, -127.6, -200.0])
    assert quantize(values, 0, 8).tolist() == [1, 0, 2, -1, 127, 127, -128, -128]


def test_tiny_and_huge_values_stay_within_the_bounds():
    assert tensor_fraction_length(np.array([1e-300]), 8) <= 31
    assert tensor_fraction_length(np.array([1e30]), 8) == 0
    assert tensor_fraction_length(np.array([1000.0]), 8, bounds=(-10, 31)) == -3
    assert tensor_fraction_length(np.zeros((0,)), 8) == 7


def test_what_is_not_finite_is_refused():
    with pytest.raises(GgdqError, match="not finite"):
        tensor_fraction_length(np.array([np.nan]), 8)
    with pytest.raises(GgdqError, match="1 bits"):
        channel_fraction_lengths(np.ones((2, 2)), 1)


def test_a_length_at_which_saturation_costs_as_much_as_rounding_did_is_as_good() -> None:
    """Found by the random weights: 3/256 is off by 1/256 with 6, 7 and 8 fraction bits, and the last is the largest."""
    assert tensor_fraction_length(np.array([-3 / 256]), 2, bounds=(0, 8)) == 8
    assert channel_fraction_lengths(np.array([[0.5, -3 / 512]]), 2).tolist()[1] == 9
