"""Average pooling in TFLite's arithmetic: sums over counts, half away from zero."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, fused, half_away, integers, kept, points, scales, tensor


@settings(max_examples=25)
@given(data=st.data(), scale=scales, z=points, activation=fused)
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, scale: float, z: int, activation: int
) -> None:
    options = {"FilterHeight": 3, "FilterWidth": 2, "StrideH": 2, "StrideW": 1, "FusedActivationFunction": activation}
    op = Op("AVERAGE_POOL_2D", (0,), (1,), "Pool2DOptions", options)
    network = kept(
        tmp_path_factory.getbasetemp(), [tensor((1, 4, 3, 2), scale, z), tensor((1, 2, 3, 2), scale, z)], op, [0]
    )
    q = integers(data.draw, (4, 3, 2))
    found = computed(network, q)
    for n, y, x, c in np.ndindex(found.shape):
        window = q[n, 2 * y : 2 * y + 3, x : x + 2, c].astype(int)
        mean = half_away(Fraction(int(window.sum()), window.size))
        assert found[n, y, x, c] == clipped(mean, activation, scale, z)
