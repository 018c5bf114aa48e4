"""TFLite's scaling in Python's integers and fractions, one number at a time, and files of one operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.importers import load_kept
from importers.tflite_files import FileTensor, Op, constant, write

scales = st.floats(2**-9, 2**2, width=32)
points = st.integers(-128, 127)
fused = st.sampled_from([0, 1, 2, 3])
TOP = {0: None, 1: None, 2: 1.0, 3: 6.0}
BOTTOM = {0: None, 1: 0.0, 2: -1.0, 3: 0.0}


def half_up(x: Fraction) -> int:
    return floor(x + Fraction(1, 2))


def half_away(x: Fraction) -> int:
    return half_up(x) if x >= 0 else -half_up(-x)


def factor(real: float) -> tuple[int, int]:
    """Multiplier of 31 bits and exponent: real = m * 2^(e - 31)."""
    e = 0
    while real * 2.0**-e >= 1:
        e += 1
    while real * 2.0**-e < 0.5:
        e -= 1
    m = half_up(Fraction(real) / Fraction(2) ** e * 2**31)
    return (m, e) if m < 2**31 else (m // 2, e + 1)


def scaled(x: int, real: float) -> int:
    """x times the factor."""
    return scaled_by(x, *factor(real))


def scaled_by(x: int, m: int, e: int) -> int:
    """x times m * 2^(e - 31): half up at bit 31, then half away from zero."""
    high = half_up(Fraction(x * 2 ** max(e, 0) * m, 2**31))
    return half_away(Fraction(high, 2 ** max(-e, 0)))


def clipped(q: int, activation: int, scale: float, point: int) -> int:
    """An integer limited by the fused activation and to int8."""
    low, high = -128, 127
    for bound, upper in ((BOTTOM[activation], False), (TOP[activation], True)):
        if bound is not None:
            limit = half_away(Fraction(float(np.float32(bound) / np.float32(scale)))) + point
            low, high = (low, min(high, limit)) if upper else (max(low, limit), high)
    return min(max(q, low), max(high, -128))


def tensor(shape: Sequence[int], scale: float, point: int) -> FileTensor:
    return FileTensor(tuple(shape), "int8", scales=[scale], zero_points=[point])


def numbers(values: Any) -> FileTensor:
    return constant(values, "int32")


def kept(
    folder: Path, tensors: Sequence[FileTensor], op: Op, inputs: Sequence[int], micro: bool = False
) -> QuantizedGraph:
    """The network of a file of one operator, in the arithmetic of the reference kernels or (``micro``) of TFLM."""
    return load_kept(write(folder / "one.tflite", tensors, [op], inputs, op.outputs), micro=micro)[1]


def integers(draw: Callable, shape: Sequence[int]) -> np.ndarray:
    """A batch of two of random int8, the extremes among them."""
    values = np.random.default_rng(draw(st.integers(0, 999))).integers(-128, 128, (2, *shape)).astype(np.int8)
    extreme = draw(st.sampled_from([None, -128, 127]))
    return values if extreme is None else np.full_like(values, extreme)


def computed(network: QuantizedGraph, *batches: np.ndarray) -> np.ndarray:
    return network.run(dict(zip(network.inputs, batches, strict=True)))[network.outputs[0]]
