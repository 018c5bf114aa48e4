"""Repeated values."""

from __future__ import annotations

import numpy as np
import pytest
from draws import reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.broadcast import Broadcast


@given(shape=st.sampled_from([(3,), (1, 3), (2, 3), (1, 2, 3), (4, 1, 3)]), data=st.data())
def test_axes_of_size_one_are_repeated(shape: tuple[int, ...], data: st.DataObject) -> None:
    image = reals(data.draw, (2, *shape))
    operator = Broadcast((4, 2, 3))
    found = operator.compute([image], {})
    assert operator.output_shape(shape) == found.shape[1:] == (4, 2, 3)
    whole = image.reshape(2, *(1,) * (3 - len(shape)), *shape)
    np.testing.assert_array_equal(found, whole + np.zeros((2, 4, 2, 3)))
    np.testing.assert_array_equal(operator.compute_integer([image], {}, [], None), found)


def test_channel_steps_are_repeated_with_the_channels() -> None:
    np.testing.assert_array_equal(Broadcast((2, 3)).carry_step(np.array([1.0, 2.0, 3.0]), [(3,)]), [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(Broadcast((2, 3)).carry_step(np.array([5.0]), [(2, 1)]), [5.0, 5.0, 5.0])


def test_shape_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        Broadcast((2, 3)).output_shape((2, 2))
    with pytest.raises(ValueError, match="dimensions"):
        Broadcast((3,)).output_shape((2, 3))
