"""The logarithm of softmax, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import formats, integers, reals
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.log_softmax import LogSoftmax, binary_logarithm
from ggdq_mcu.operators.softmax import Softmax


def computed(source: Format, output: Format, q: np.ndarray) -> np.ndarray:
    """The integers of the output."""
    operator = LogSoftmax()
    return operator.compute_integer([q], operator.lower({}, [source], output, [q.shape[1:]]), [source], output)


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3), data=st.data())
def test_float_is_the_logarithm_of_softmax(shape: list[int], data: st.DataObject) -> None:
    x = reals(data.draw, (2, *shape), 5.0)
    np.testing.assert_allclose(LogSoftmax().compute([x], {}), np.log(Softmax().compute([x], {})), atol=1e-9)


def test_float_of_large_values_is_finite() -> None:
    found = LogSoftmax().compute([np.array([[1e4, 0.0, -1e4]], np.float32)], {})
    np.testing.assert_array_equal(found, [[0, -1e4, -2e4]])
    assert found.dtype == np.float32


@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=20))
def test_binary_logarithm_is_rounded_down(numbers: list[int]) -> None:
    """2^(l / 2^16) <= x < 2^((l + 1) / 2^16), but for what squares that are cut to 32 bits lose."""
    found = binary_logarithm(np.array(numbers, np.int64))
    exact = np.log2(np.array(numbers, np.float64)) * 65536
    assert np.all(found <= exact + 1e-6)
    assert np.all(found > exact - 1 - 2.0**-11)


@pytest.mark.parametrize("exponent", range(32))
def test_binary_logarithm_of_a_power_of_two_is_exact(exponent: int) -> None:
    assert binary_logarithm(np.array([2**exponent], np.int64)) == [65536 * exponent]


@settings(deadline=None)
@given(source=formats(), count=st.integers(1, 20), bits=st.sampled_from([8, 16]), data=st.data())
def test_integers_are_near_the_function_of_their_values(
    source: Format, count: int, bits: int, data: st.DataObject
) -> None:
    output = LogSoftmax().fixed_format([source], bits)
    q = integers(data.draw, source, (3, count))
    found = computed(source, output, q)
    assert found.dtype == output.dtype
    real = np.maximum(LogSoftmax().compute([source.dequantize(q)], {}), output.dequantize(np.array(output.low)))
    # Half a step of rounding; each exponential is off by up to 1.5 * 2^-16 of the largest.
    assert np.all(np.abs(output.dequantize(found) - real) <= 0.51 * output.step + 1.6 * count * 2.0**-16)


@settings(deadline=None)
@given(source=formats(), output=formats(), data=st.data())
def test_integers_of_any_output_format_are_near_too(source: Format, output: Format, data: st.DataObject) -> None:
    q = integers(data.draw, source, (2, 7))
    real = output.quantize(LogSoftmax().compute([source.dequantize(q)], {}))
    off = np.abs(computed(source, output, q).astype(int) - real)
    assert off.max() <= 1 + np.ceil(1.6 * 7 * 2.0**-16 / output.step)


@settings(deadline=None)
@given(source=formats(), data=st.data())
def test_integers_keep_the_order(source: Format, data: st.DataObject) -> None:
    q = integers(data.draw, source, (9,))
    found = computed(source, LogSoftmax().fixed_format([source], source.bits), q)
    order = np.argsort(q, axis=-1, kind="stable")
    assert np.all(np.diff(np.take_along_axis(found.astype(int), order, -1), axis=-1) >= 0)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("step", [2.0**-40, 1e-6, 1.0, 1e9, 2.0**60])
def test_steps_of_any_size_stay_within_64_bits(step: float, bits: int) -> None:
    """As many equal values as there may be, and two that are as far apart as they can be."""
    source = Format(16, True, step)
    output = LogSoftmax().fixed_format([source], bits)
    for q in (np.zeros((1, 65535), np.int16), np.array([[32767, -32768]], np.int16)):
        real = output.quantize(LogSoftmax().compute([source.dequantize(q)], {}))
        np.testing.assert_allclose(computed(source, output, q), real, atol=1)


def test_too_many_classes_are_an_error() -> None:
    with pytest.raises(ValueError, match="at most"):
        LogSoftmax().output_shape((70000,))
