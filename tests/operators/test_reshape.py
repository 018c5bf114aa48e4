"""Reshapes keep the values and their order."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.reshape import Reshape


def test_values_keep_their_order() -> None:
    x = np.arange(48).reshape(2, 4, 3, 2)
    form = Format(16, True, 0.5)
    np.testing.assert_array_equal(Reshape((24,)).compute([x], {}), x.reshape(2, 24))
    np.testing.assert_array_equal(Reshape((6, 4)).compute_integer([x], {}, [form], form), x.reshape(2, 6, 4))


def test_another_number_of_values_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot reshape"):
        Reshape((5,)).output_shape((2, 3))


def test_channel_steps_go_along_where_channels_stay_whole() -> None:
    step = np.array([0.5, 0.25])
    np.testing.assert_array_equal(Reshape((8,)).carry_step(step, [(2, 2, 2)]), np.tile(step, 4))
    assert Reshape((4, 3)).carry_step(step, [(3, 2, 2)]) is None
