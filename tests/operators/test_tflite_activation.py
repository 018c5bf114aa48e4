"""Functions of one value in TFLite's arithmetic: every entry of the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, clipped, computed, kept, points, scaled, scales, tensor

EVERY = np.arange(-128, 128).astype(np.int8)[None]
ACTIVATIONS = {"QUANTIZE": 0, "RELU": 1, "RELU_N1_TO_1": 2, "RELU6": 3}


@settings(max_examples=20)
@given(s_in=scales, relation=st.floats(0.3, 3), z=st.tuples(points, points))
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_clips_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, kind: str, s_in: float, relation: float, z: tuple[int, int]
) -> None:
    s_out = float(np.float32(s_in * relation))
    tensors = [tensor((1, 256), s_in, z[0]), tensor((1, 256), s_out, z[1])]
    found = computed(kept(tmp_path_factory.getbasetemp(), tensors, Op(kind, (0,), (1,)), [0]), EVERY)
    real = s_in / s_out if kind == "QUANTIZE" else float(np.float32(s_in) / np.float32(s_out))
    wanted = [clipped(scaled(q - z[0], real) + z[1], ACTIVATIONS[kind], s_out, z[1]) for q in range(-128, 128)]
    np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize(("kind", "scale", "point"), [("LOGISTIC", 1 / 256, -128), ("TANH", 1 / 128, 0)])
def test_functions_are_rounded_to_the_nearest(tmp_path: Path, kind: str, scale: float, point: int) -> None:
    tensors = [tensor((1, 256), 0.05, 7), tensor((1, 256), scale, point)]
    found = computed(kept(tmp_path, tensors, Op(kind, (0,), (1,)), [0]), EVERY)
    x = (np.arange(-128, 128) - 7) * 0.05
    real = (1 / (1 + np.exp(-x)) if kind == "LOGISTIC" else np.tanh(x)) / scale + point
    assert np.abs(found[0] - np.clip(real, -128, 127)).max() <= 0.5 + 1e-4
