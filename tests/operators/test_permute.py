"""Axes in another order."""

from __future__ import annotations

import numpy as np
from draws import reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.permute import Permute


@given(order=st.permutations([1, 2, 3]), data=st.data())
def test_axes_change_their_places(order: list[int], data: st.DataObject) -> None:
    image = reals(data.draw, (2, 3, 4, 5))
    operator = Permute(tuple(order))
    found = operator.compute([image], {})
    for index in np.ndindex(*found.shape[1:]):
        source = dict(zip(order, index, strict=True))
        np.testing.assert_array_equal(found[:, *index], image[:, source[1], source[2], source[3]])
    assert operator.output_shape((3, 4, 5)) == found.shape[1:]
    np.testing.assert_array_equal(operator.compute_integer([image], {}, [], None), found)


def test_channel_steps_stay_where_channels_stay() -> None:
    step = np.array([1.0, 2.0])
    np.testing.assert_array_equal(Permute((2, 1, 3)).carry_step(step, [(3, 4, 2)]), step)
    assert Permute((1, 3, 2)).carry_step(step, [(3, 4, 2)]) is None
