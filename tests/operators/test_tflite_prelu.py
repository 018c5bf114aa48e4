"""PReLU in TFLite's arithmetic, against its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, constant, integers, kept, points, scaled, scales, tensor

from ggdq_mcu.errors import GgdqError


@settings(max_examples=25)
@given(data=st.data(), steps=st.tuples(scales, scales), z=st.tuples(points, points, points), by_row=st.booleans())
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, steps: tuple[float, float], z: tuple[int, int, int],
    by_row: bool,
) -> None:  # fmt: skip
    source, step = (np.float32(one) for one in steps)
    out = np.float32(source * np.float32(data.draw(st.floats(0.25, 100, width=32))))
    slopes = integers(data.draw, (2, 1, 3) if by_row else (1, 1, 3))[0]
    tensors = [
        tensor((1, 2, 4, 3), steps[0], z[0]), constant(slopes, "int8", scales=steps[1:], zero_points=z[1:2]),
        tensor((1, 2, 4, 3), float(out), z[2]),
    ]  # fmt: skip
    network = kept(tmp_path_factory.getbasetemp(), tensors, Op("PRELU", (0, 1), (2,)), [0])
    q = integers(data.draw, (2, 4, 3))
    found = computed(network, q)
    slopes = np.broadcast_to(slopes, q.shape)
    for at in np.ndindex(found.shape):
        u = int(q[at]) - z[0]
        if u >= 0:
            value = scaled(u, float(source / out))
        else:
            value = scaled(u * (int(slopes[at]) - z[1]), float(np.float32(source * step) / out))
        assert found[at] == clipped(value + z[2], 0, float(out), z[2])


def test_slopes_that_are_no_constant_are_refused(tmp_path: Path) -> None:
    tensors = [tensor((1, 3), 0.5, 0), tensor((1, 3), 0.5, 0), tensor((1, 3), 0.5, 0)]
    with pytest.raises(GgdqError, match="its input 1 is no constant"):
        kept(tmp_path, tensors, Op("PRELU", (0, 1), (2,)), [0, 1])


def test_products_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    slopes = constant([1, 2, 3], "int8", scales=[4.0], zero_points=[0])
    tensors = [tensor((1, 3), 4.0, 0), slopes, tensor((1, 3), 2.0**-14, 0)]
    with pytest.raises(GgdqError, match="exceed 32 bits"):
        kept(tmp_path, tensors, Op("PRELU", (0, 1), (2,)), [0])
