"""Sums of tensors, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import formats, integers, real_units, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.add import Add

SHAPE = (3, 2, 5)


@given(count=st.integers(2, 4), data=st.data())
def test_float_is_the_sum(count: int, data: st.DataObject) -> None:
    inputs = [reals(data.draw, (2, *SHAPE)) for _ in range(count)]
    np.testing.assert_allclose(Add().compute(inputs, {}), np.sum(inputs, axis=0), atol=1e-12)
    np.testing.assert_allclose(Add(low=0.0).compute(inputs, {}), np.maximum(np.sum(inputs, axis=0), 0), atol=1e-12)


@given(signs=st.lists(st.sampled_from([1, -1]), min_size=2, max_size=3), divisor=st.integers(1, 4), data=st.data())
def test_signs_and_divisor_make_differences_and_averages(signs: list[int], divisor: int, data: st.DataObject) -> None:
    operator = Add(signs=tuple(signs), divisor=divisor)
    inputs = [reals(data.draw, (2, *SHAPE)) for _ in signs]
    expected = sum(sign * x for sign, x in zip(signs, inputs, strict=True)) / divisor
    np.testing.assert_allclose(operator.compute(inputs, {}), expected, atol=1e-12)
    source, output = data.draw(formats()), data.draw(formats())
    q = [integers(data.draw, source, SHAPE) for _ in signs]
    constants = operator.lower({}, [source] * len(signs), output, [SHAPE] * len(signs))
    found = operator.compute_integer(q, constants, [source] * len(signs), output)
    bound = sum(0.5 * np.abs(one.astype(float) - source.zero_point) for one in q) / 2.0 ** int(constants["shift"])
    wanted = real_units(operator, q, [source] * len(signs), output)
    assert np.all(np.abs(found - wanted) <= bound + 1.0 + 1e-6)


def test_shapes_are_broadcast() -> None:
    image, channels = np.arange(12.0).reshape(1, 2, 3, 2), np.array([[10.0, 20.0]])
    np.testing.assert_array_equal(Add().compute([image, channels], {}), image + np.array([10.0, 20.0]))
    assert Add().output_shape((2, 3, 2), (2,)) == (2, 3, 2)


def test_shapes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="cannot broadcast shapes"):
        Add().output_shape((3, 2), (2, 3))
    with pytest.raises(ValueError, match="cannot add 1 tensors"):
        Add().output_shape((3, 2))
