"""Products of tensors, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draws import formats, integers, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.multiply import Multiply

SHAPE = (3, 2, 5)
OTHERS = st.sampled_from([SHAPE, (1, 1, 5), (3, 2, 1), (5,)])


@given(other=OTHERS, data=st.data())
def test_float_is_the_product(other: tuple[int, ...], data: st.DataObject) -> None:
    first, second = reals(data.draw, (2, *SHAPE)), reals(data.draw, (2, *other))
    expected = first * second.reshape(2, *(1,) * (3 - len(other)), *other)
    np.testing.assert_allclose(Multiply().compute([first, second], {}), expected, atol=1e-12)


@given(first=formats(bits=(8,)), second=formats(bits=(8,)), output=formats(bits=(8,), zero=False), data=st.data())
def test_channel_steps_are_the_tensor_step_channel_by_channel(first, second, output, data: st.DataObject) -> None:
    steps = first.step * np.array([1.0, 0.5, 3.0, 1e-2, 7.0])
    q = [integers(data.draw, first, SHAPE), integers(data.draw, second, SHAPE)]
    by_channel = [replace(first, step=steps), second]
    constants = Multiply().lower({}, by_channel, output, [SHAPE, SHAPE])
    found = Multiply().compute_integer(q, constants, by_channel, output)
    for channel, step in enumerate(steps):
        alone = [replace(first, step=float(step)), second]
        expected = Multiply().compute_integer(q, Multiply().lower({}, alone, output, [SHAPE, SHAPE]), alone, output)
        np.testing.assert_array_equal(found[..., channel], expected[..., channel])


def test_shapes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="cannot broadcast shapes"):
        Multiply().output_shape((3, 2), (2, 3))
