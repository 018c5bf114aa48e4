"""Depthwise convolution in TFLite's arithmetic, against a loop over its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, constant, fused, integers, kept, points, scaled, scales, tensor


@settings(max_examples=25)
@given(data=st.data(), s_in=scales, s_out=scales, z_in=points, z_out=points, activation=fused)
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, s_in: float, s_out: float, z_in: int, z_out: int,
    activation: int,
) -> None:  # fmt: skip
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    w, b = random.integers(-127, 128, (1, 2, 3, 6)), random.integers(-5000, 5000, 6)
    steps = (2.0 ** random.uniform(-9, -5, 6)).astype(np.float32)
    tensors = [
        tensor((1, 4, 5, 3), s_in, z_in), constant(w, "int8", scales=steps, zero_points=[0] * 6, axis=3),
        constant(b, "int32", scales=[1.0] * 6), tensor((1, 3, 3, 6), s_out, z_out),
    ]  # fmt: skip
    options = {"StrideH": 1, "StrideW": 1, "FusedActivationFunction": activation, "Padding": 1, "DepthMultiplier": 2}
    op = Op("DEPTHWISE_CONV_2D", (0, 1, 2), (3,), "DepthwiseConv2DOptions", options)
    network = kept(tmp_path_factory.getbasetemp(), tensors, op, [0])
    q = integers(data.draw, (4, 5, 3))
    found = computed(network, q)
    real = [
        float(np.float64(np.float32(s_in)) * step / np.float64(np.float32(s_out))) for step in steps.astype(np.float64)
    ]
    for n, oy, ox, f in np.ndindex(found.shape):
        products = (int(w[0, ky, kx, f]) * (int(q[n, oy + ky, ox + kx, f // 2]) - z_in) for ky, kx in np.ndindex(2, 3))
        total = int(b[f]) + sum(products)
        assert found[n, oy, ox, f] == clipped(scaled(total, real[f]) + z_out, activation, s_out, z_out)
