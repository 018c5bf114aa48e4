"""Products in TFLite's arithmetic, against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, constant, fused, integers, kept, points, scaled, scales, tensor


@settings(max_examples=25)
@given(data=st.data(), steps=st.tuples(scales, scales), z=st.tuples(points, points, points), activation=fused)
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, steps: tuple[float, float], z: tuple[int, int, int],
    activation: int,
) -> None:  # fmt: skip
    first, second = (np.float32(step) for step in steps)
    s_out = float(first * second * np.float32(data.draw(st.floats(8, 200, width=32))))
    fixed = data.draw(st.booleans())
    b = integers(data.draw, (3,))
    other = constant(b[:1], "int8", scales=steps[1:], zero_points=z[1:2]) if fixed else tensor((1, 3), steps[1], z[1])
    op = Op("MUL", (0, 1), (2,), "MulOptions", {"FusedActivationFunction": activation})
    tensors = [tensor((1, 2, 3), steps[0], z[0]), other, tensor((1, 2, 3), s_out, z[2])]
    network = kept(tmp_path_factory.getbasetemp(), tensors, op, [0] if fixed else [0, 1])
    a = integers(data.draw, (2, 3))
    found = computed(network, a) if fixed else computed(network, a, b)
    b = np.broadcast_to(b[:1] if fixed else b, (2, 3)).reshape(2, 1, 3) if fixed else b.reshape(2, 1, 3)
    b = np.broadcast_to(b, a.shape)
    real = float(first * second / np.float32(s_out))
    for at in np.ndindex(found.shape):
        total = scaled((int(a[at]) - z[0]) * (int(b[at]) - z[1]), real)
        assert found[at] == clipped(total + z[2], activation, s_out, z[2])
