"""Means over axes in TFLite's arithmetic, against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, factor, integers, kept, numbers, points, scaled_by, scales, tensor


@settings(max_examples=40)
@given(data=st.data(), s_in=scales, relation=st.floats(0.25, 4), z=st.tuples(points, points))
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, s_in: float, relation: float, z: tuple[int, int]
) -> None:
    s_out = float(np.float32(s_in * relation))
    axes, shape = data.draw(st.sampled_from([((1, 2), (1, 5)), ((3,), (1, 3, 4)), ((2, 3), (1, 3))]))
    tensors = [tensor((1, 3, 4, 5), s_in, z[0]), numbers(axes), tensor(shape, s_out, z[1])]
    network = kept(tmp_path_factory.getbasetemp(), tensors, Op("MEAN", (0, 1), (2,), "ReducerOptions", {}), [0])
    q = integers(data.draw, (3, 4, 5))
    found = computed(network, q)
    sums = q.astype(int).sum(axis=axes)
    count = q.size // sums.size
    m, e = factor(s_in / s_out)
    shift = count.bit_length() - 1
    for at in np.ndindex(found.shape):
        total = scaled_by(int(sums[at]) - count * z[0], (m << shift) // count, e - shift)
        assert found[at] == clipped(total + z[1], 0, s_out, z[1])
