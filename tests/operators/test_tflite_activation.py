"""Functions of one value in TFLite's arithmetic: every entry of the tables."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tflite_definitions import (
    Op,
    clipped,
    computed,
    factor,
    half_away,
    half_up,
    kept,
    points,
    scaled,
    scales,
    tensor,
)

from ggdq_mcu.errors import GgdqError

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


@pytest.mark.parametrize("kind", ["ELU", "EXP", "GELU", "HARD_SWISH"])
@pytest.mark.parametrize("relation", [0.3, 1.0, 2.0])
def test_unbounded_functions_are_near_the_real_ones(tmp_path: Path, kind: str, relation: float) -> None:
    scale, out = 0.05, 0.05 * relation
    table = "GeluOptions" if kind == "GELU" else ""
    tensors = [tensor((1, 256), scale, 7), tensor((1, 256), out, -20)]
    found = computed(kept(tmp_path, tensors, Op(kind, (0,), (1,), table), [0]), EVERY)
    x = (np.arange(-128, 128) - 7) * scale
    real = {
        "ELU": np.where(x < 0, np.expm1(x), x),
        "EXP": np.exp(x),
        "GELU": x * stats.norm.cdf(x),
        "HARD_SWISH": x * np.clip(x + 3, 0, 6) / 6,
    }[kind]
    # HARD_SWISH multiplies 16-bit numbers, each rounded: 2 % of the last step at these scales.
    assert np.abs(found[0] - np.clip(real / out - 20, -128, 127)).max() <= 0.5 + (
        0.02 if kind == "HARD_SWISH" else 1e-4
    )


def half_high(a: int, b: int) -> int:
    """Doubled high half of a product of 16 bits, half up."""
    return half_up(Fraction(a * b, 2**15))


@settings(max_examples=30)
@given(s_in=scales, relation=st.floats(0.1, 8), z=st.tuples(points, points))
def test_hard_swish_is_the_definition(
    tmp_path_factory: pytest.TempPathFactory, s_in: float, relation: float, z: tuple[int, int]
) -> None:
    s_out = float(np.float32(s_in * relation))
    tensors = [tensor((1, 256), s_in, z[0]), tensor((1, 256), s_out, z[1])]
    found = computed(kept(tmp_path_factory.getbasetemp(), tensors, Op("HARD_SWISH", (0,), (1,)), [0]), EVERY)
    fine = np.float32(s_in) / np.float32(128)
    (m, e), (gate_m, gate_e) = factor(float(fine / np.float32(s_out))), factor(float(fine / np.float32(3 / 32768)))
    m, gate_m = (min(half_up(Fraction(one, 2**16)), 32767) for one in (m, gate_m))
    for at, q in enumerate(range(-128, 128)):
        u = (q - z[0]) * 128
        gate = half_high(max(min(u * 2 ** max(gate_e - 1, 0), 32767), -32768), gate_m)
        gate = max(min(gate * 2, 32767), -32768) if gate_e > 0 else half_away(Fraction(gate, 2**-gate_e))
        product = int(Fraction((gate + 32768) // 2 * half_high(u, m), 2**15))  # towards zero
        assert found[0, at] == clipped(half_away(Fraction(product, 2**-e)) + z[1], 0, s_out, z[1])


def test_hard_swish_with_a_much_finer_output_is_refused(tmp_path: Path) -> None:
    tensors = [tensor((1, 256), 1.0, 0), tensor((1, 256), 1 / 300, 0)]
    with pytest.raises(GgdqError, match="finer than 1/128"):
        kept(tmp_path, tensors, Op("HARD_SWISH", (0,), (1,)), [0])
