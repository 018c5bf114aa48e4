"""Largest and smallest of several tensors, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.extremum import Extremum

SHAPE = (3, 2, 5)


@given(smallest=st.booleans(), data=st.data())
def test_float_selects_by_element_and_broadcasts(smallest: bool, data: st.DataObject) -> None:
    first, second = reals(data.draw, (2, *SHAPE)), reals(data.draw, (2, 5))
    expected = (np.minimum if smallest else np.maximum)(first, second[:, None, None])
    np.testing.assert_array_equal(Extremum(smallest).compute([first, second], {}), expected)


def test_one_tensor_has_no_extremum() -> None:
    with pytest.raises(ValueError, match="two tensors"):
        Extremum().output_shape((3, 2))
