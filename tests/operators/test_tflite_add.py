"""Sums and differences in TFLite's arithmetic, against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, fused, integers, kept, points, scaled, scales, tensor


@settings(max_examples=25)
@given(
    data=st.data(), steps=st.tuples(scales, scales), relation=st.floats(0.25, 4), z=st.tuples(points, points, points)
)
@pytest.mark.parametrize("kind", ["ADD", "SUB"])
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, kind: str, steps: tuple[float, float], relation: float,
    z: tuple[int, int, int],
) -> None:  # fmt: skip
    activation, s_out = data.draw(fused), float(np.float32(max(steps) * relation))
    shapes = [(1, 2, 3), (1, 3)] if data.draw(st.booleans()) else [(1, 2, 3), (1, 2, 3)]
    tensors = [tensor(shape, s, point) for shape, s, point in zip(shapes, steps, z[:2], strict=True)]
    op = Op(kind, (0, 1), (2,), f"{kind.capitalize()}Options", {"FusedActivationFunction": activation})
    network = kept(tmp_path_factory.getbasetemp(), [*tensors, tensor((1, 2, 3), s_out, z[2])], op, [0, 1])
    a, b = (integers(data.draw, shape[1:]) for shape in shapes)
    found = computed(network, a, b)
    twice = 2 * max(steps)
    b = np.broadcast_to(b.reshape(2, -1, 3), a.shape)
    for at in np.ndindex(found.shape):
        first = scaled((int(a[at]) - z[0]) << 20, steps[0] / twice)
        second = scaled((int(b[at]) - z[1]) << 20, steps[1] / twice)
        total = scaled(first + second if kind == "ADD" else first - second, twice / (2**20 * s_out))
        assert found[at] == clipped(total + z[2], activation, s_out, z[2])
