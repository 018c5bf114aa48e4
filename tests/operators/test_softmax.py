"""Softmax, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import formats, integers, reals
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.softmax import Softmax


@given(shape=st.lists(st.integers(1, 5), min_size=1, max_size=3), data=st.data())
def test_float_sums_to_one_and_is_proportional_to_the_exponential(shape: list[int], data: st.DataObject) -> None:
    x = reals(data.draw, (2, *shape), 5.0)
    y = Softmax().compute([x], {})
    np.testing.assert_allclose(y.sum(axis=-1), 1)
    np.testing.assert_allclose(np.log(y) - x, np.broadcast_to((np.log(y) - x)[..., :1], x.shape), atol=1e-9)


def test_float_of_large_values_is_finite() -> None:
    np.testing.assert_array_equal(Softmax().compute([np.array([[1e4, 0.0, -1e4]])], {}), [[1, 0, 0]])


@settings(deadline=None)
@given(source=formats(), count=st.integers(1, 20), data=st.data())
def test_integers_are_near_the_softmax_of_their_values(source: Format, count: int, data: st.DataObject) -> None:
    operator = Softmax()
    output = operator.fixed_format([source], source.bits)
    q = integers(data.draw, source, (3, count))
    constants = operator.lower({}, [source], output, [(3, count)])
    found = operator.compute_integer([q], constants, [source], output)
    assert found.dtype == output.dtype
    real = operator.compute([source.dequantize(q)], {})
    # The tables have 16 bits, so each exponential is off by about 2^-16 of the largest, and there are ``count``.
    assert np.all(np.abs(output.dequantize(found) - real) <= output.step + 3 * (count + 1) * 2.0**-16)


@settings(deadline=None)
@given(source=formats(), data=st.data())
def test_integers_keep_the_order(source: Format, data: st.DataObject) -> None:
    operator = Softmax()
    output = operator.fixed_format([source], source.bits)
    q = integers(data.draw, source, (9,))
    found = operator.compute_integer([q], operator.lower({}, [source], output, [(9,)]), [source], output)
    order = np.argsort(q, axis=-1, kind="stable")
    assert np.all(np.diff(np.take_along_axis(found.astype(int), order, -1), axis=-1) >= 0)


def test_too_many_classes_are_an_error() -> None:
    with pytest.raises(ValueError, match="at most"):
        Softmax().output_shape((70000,))
