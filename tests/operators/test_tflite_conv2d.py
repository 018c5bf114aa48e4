"""Convolution in TFLite's arithmetic, against a loop over its definition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, constant, fused, integers, kept, points, scaled, scales, tensor

from ggdq_mcu.errors import GgdqError


def ratios(s_in: float, steps: np.ndarray, s_out: float) -> list[float]:
    """The factor of each filter's sums."""
    return [
        float(np.float64(np.float32(s_in)) * step / np.float64(np.float32(s_out))) for step in steps.astype(np.float64)
    ]


@settings(max_examples=25)
@given(data=st.data(), s_in=scales, s_out=scales, z_in=points, z_out=points, activation=fused, stride=st.integers(1, 2))
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, s_in: float, s_out: float, z_in: int, z_out: int,
    activation: int, stride: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    w, b = random.integers(-127, 128, (3, 2, 2, 2)), random.integers(-5000, 5000, 3)
    steps = (2.0 ** random.uniform(-9, -5, 3)).astype(np.float32)
    size = -(-4 // stride)
    tensors = [
        tensor((1, 4, 4, 2), s_in, z_in), constant(w, "int8", scales=steps, zero_points=[0] * 3),
        constant(b, "int32", scales=[1.0] * 3), tensor((1, size, size, 3), s_out, z_out),
    ]  # fmt: skip
    options = {"StrideH": stride, "StrideW": stride, "FusedActivationFunction": activation}
    folder = tmp_path_factory.getbasetemp()
    network = kept(folder, tensors, Op("CONV_2D", (0, 1, 2), (3,), "Conv2DOptions", options), [0])
    q = integers(data.draw, (4, 4, 2))
    found = computed(network, q)
    before = max((size - 1) * stride + 2 - 4, 0) // 2
    real = ratios(s_in, steps, s_out)
    for n, oy, ox, f in np.ndindex(found.shape):
        total = int(b[f])
        for ky, kx, c in np.ndindex(2, 2, 2):
            y, x = oy * stride + ky - before, ox * stride + kx - before
            if 0 <= y < 4 and 0 <= x < 4:
                total += int(w[f, ky, kx, c]) * (int(q[n, y, x, c]) - z_in)
        assert found[n, oy, ox, f] == clipped(scaled(total, real[f]) + z_out, activation, s_out, z_out)


def test_sums_beyond_32_bits_are_refused(tmp_path: Path) -> None:
    tensors = [
        tensor((1, 1, 1, 1), 1.0, 0), constant([[[[1]]]], "int8", scales=[1.0]),
        constant([2**31 - 1], "int32", scales=[1.0]), tensor((1, 1, 1, 1), 1.0, 0),
    ]  # fmt: skip
    op = Op("CONV_2D", (0, 1, 2), (3,), "Conv2DOptions", {"StrideH": 1, "StrideW": 1})
    with pytest.raises(GgdqError, match="exceed 32 bits"):
        kept(tmp_path, tensors, op, [0])


@settings(max_examples=25)
@given(data=st.data(), s_in=scales, s_out=scales, z_in=points, z_out=points, activation=fused, same=st.booleans())
def test_transposed_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, s_in: float, s_out: float, z_in: int, z_out: int,
    activation: int, same: bool,
) -> None:  # fmt: skip
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    kernel, stride = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 3))
    w, b = random.integers(-127, 128, (3, kernel, 1, 2)), random.integers(-5000, 5000, 3)
    steps = (2.0 ** random.uniform(-9, -5, 3)).astype(np.float32)
    excess = max(kernel - stride, 0)
    height, before = 4 * stride + (0 if same else excess), excess // 2 if same else 0
    tensors = [
        constant([1, height, 2, 3], "int32"), constant(w, "int8", scales=steps, zero_points=[0] * 3),
        tensor((1, 4, 2, 2), s_in, z_in), constant(b, "int32", scales=[1.0] * 3),
        tensor((1, height, 2, 3), s_out, z_out),
    ]  # fmt: skip
    options = {"StrideH": stride, "StrideW": 1, "Padding": 0 if same else 1, "FusedActivationFunction": activation}
    op = Op("TRANSPOSE_CONV", (0, 1, 2, 3), (4,), "TransposeConvOptions", options)
    q = integers(data.draw, (4, 2, 2))
    found = computed(kept(tmp_path_factory.getbasetemp(), tensors, op, [2]), q)
    totals = np.tile(b.astype(np.int64), (2, height, 2, 1))
    for n, y, x, c in np.ndindex(q.shape):
        for ky in range(kernel):
            if 0 <= y * stride + ky - before < height:
                totals[n, y * stride + ky - before, x] += w[:, ky, 0, c] * (int(q[n, y, x, c]) - z_in)
    real = ratios(s_in, steps, s_out)
    for at in np.ndindex(found.shape):
        assert found[at] == clipped(scaled(int(totals[at]), real[at[-1]]) + z_out, activation, s_out, z_out)
