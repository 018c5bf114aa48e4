"""The bars count every value on its level, and the fitted density is that of the magnitudes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format
from ggdq_mcu.quantization.histogram import Histogram
from ggdq_mcu.quantization.level_histogram import BARS, from_json, level_histogram, to_json


@settings(max_examples=40)
@given(
    bits=st.integers(2, 16),
    signed=st.booleans(),
    exponent=st.integers(-8, 8),
    seed=st.integers(0, 2**32 - 1),
    channels=st.integers(1, 3),
)
def test_shares_are_those_of_the_values(bits: int, signed: bool, exponent: int, seed: int, channels: int) -> None:
    random = np.random.default_rng(seed)
    values = random.laplace(size=(300, channels)).astype(np.float32) * 2.0**exponent
    values[random.random(values.shape) < 0.3] = 0
    values = values if signed else np.maximum(values, 0)
    zero = int(random.integers(-(1 << (bits - 1)), 1 << (bits - 1))) if signed else 0
    step = random.uniform(0.5, 2, channels) * 8 * 2.0**exponent / (1 << bits)
    found = level_histogram(Histogram.of(values), Format(bits, signed, step, zero))
    levels = (values / step)[values != 0]
    assert found.zeros == np.mean(values == 0)
    assert (found.low, found.high) == (found.high - (1 << bits) + 1, (1 << bits - signed) - 1 - zero)
    inside = (levels >= found.start) & (levels <= found.start + BARS * found.width)
    # Values lie in bins of 1/2048 of the largest at least: so much of them may be counted on the other side of an edge.
    expected, _ = np.histogram(levels, BARS, (found.start, found.start + BARS * found.width))
    near = float(np.histogram(levels, 2048)[0].max() * channels * 4)
    assert np.sum(found.bars) * len(levels) == pytest.approx(inside.sum(), abs=near)
    below = np.cumsum(found.bars) * len(levels)
    assert np.allclose(below, np.cumsum(expected), atol=near)
    q = np.floor(levels + 0.5)
    assert found.clipped * len(levels) == pytest.approx(np.sum((q < found.low) | (q > found.high)), abs=near)
    assert found.positive * len(levels) == pytest.approx((levels > 0).sum())
    x = np.linspace(found.start, found.start + BARS * found.width, 100_001)[1:]
    assert np.trapezoid(found.density(x[x != 0]), x[x != 0]) < 1.05


def test_a_known_density_is_found() -> None:
    values = np.random.default_rng(0).exponential(10, size=(20_000, 1)).astype(np.float32)
    found = level_histogram(Histogram.of(values), Format(8, False, 0.5))
    assert (found.k, found.c) == (pytest.approx(1, abs=0.1), pytest.approx(1, abs=0.1))
    middles = found.start + found.width * (np.arange(BARS) + 0.5)
    shares = found.density(middles) * found.width
    assert np.allclose(found.bars, shares, atol=0.005)


def test_a_map_of_zeros() -> None:
    found = level_histogram(Histogram.of(np.zeros((5, 2))), Format(8, True, 1.0))
    assert (found.zeros, found.clipped, sum(found.bars)) == (1, 0, 0)
    assert np.isfinite(found.density(np.array([1.0, -1.0]))).all()


def test_files_of_them_are_read_again_and_nothing_else_is() -> None:
    one = {"a": level_histogram(Histogram.of(np.arange(10.0)[:, None]), Format(8, False, 0.1))}
    content = to_json(one)
    assert from_json(content) == one
    plain = json.loads(content)
    for name, rubbish in [("bars", [1]), ("bars", None), ("k", None), ("low", float("inf")), ("more", 1), ("s", "x")]:
        with pytest.raises(GgdqError):
            from_json(json.dumps({"a": {**plain["a"], name: rubbish}}).encode())
    for whole in (b"", b"[1]", b"[" * 100_000, json.dumps({"a": 1}).encode()):
        with pytest.raises(GgdqError):
            from_json(whole)
