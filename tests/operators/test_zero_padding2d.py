"""Zeros around an image, in floats and in integers."""

from __future__ import annotations

import numpy as np

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D

OPERATOR = ZeroPadding2D(Padding(1, 2, 0, 3))


def test_float_has_zeros_on_the_right_sides() -> None:
    x = np.ones((1, 2, 1, 2))
    y = OPERATOR.compute([x], {})
    assert y.shape[1:] == OPERATOR.output_shape((2, 1, 2)) == (5, 4, 2)
    np.testing.assert_array_equal(y[:, 1:3, :1], x)
    assert y.sum() == x.sum()


def test_integers_have_the_zero_point_around_them() -> None:
    form = Format(8, False, 0.5, 7)
    q = np.full((1, 2, 1, 2), 200, np.uint8)
    padded = OPERATOR.compute_integer([q], {}, [form], form)
    np.testing.assert_array_equal(form.dequantize(padded), OPERATOR.compute([form.dequantize(q)], {}))
    assert padded.dtype == np.uint8
