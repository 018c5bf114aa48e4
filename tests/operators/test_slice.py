"""Parts of tensors."""

from __future__ import annotations

import numpy as np
import pytest
from draws import reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.slice import Slice


@given(data=st.data())
def test_part_of_each_axis(data: st.DataObject) -> None:
    shape = (5, 4, 6)
    starts = tuple(data.draw(st.integers(0, size - 1)) for size in shape)
    steps = tuple(data.draw(st.integers(1, 3)) for _ in shape)
    sizes = tuple(data.draw(st.integers(1, (a - b - 1) // c + 1)) for a, b, c in zip(shape, starts, steps, strict=True))
    image = reals(data.draw, (2, *shape))
    operator = Slice(starts, sizes, steps)
    found = operator.compute([image], {})
    assert operator.output_shape(shape) == found.shape[1:] == sizes
    for index in np.ndindex(*sizes):
        source = [a + b * c for a, b, c in zip(starts, index, steps, strict=True)]
        np.testing.assert_array_equal(found[:, *index], image[:, *source])
    np.testing.assert_array_equal(operator.compute_integer([image], {}, [], None), found)


def test_channel_steps_are_those_of_the_channels_that_stay() -> None:
    step = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(Slice((1, 0), (2, 2), (1, 2)).carry_step(step, [(3, 4)]), [1.0, 3.0])


def test_part_beyond_the_tensor_is_an_error() -> None:
    with pytest.raises(ValueError, match="no elements"):
        Slice((2,), (3,)).output_shape((4,))
