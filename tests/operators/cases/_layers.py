"""Layers of one operator with drawn formats and inputs, and how their multipliers are checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.operator import Operator
from operators.cases import Layer, Shape, Weights
from operators.draws import clipped, formats, integers, rounded

BITS = (8, 8, 16)


def lowered(
    draw: Callable,
    operator: Operator,
    shapes: Sequence[Shape],
    weights: Weights | None = None,
    sources: Sequence[Format] | None = None,
    output: Format | None = None,
) -> Layer:
    """The operator on inputs of these shapes; formats that are not given are drawn."""
    forms = tuple(sources or (draw(formats(BITS)) for _ in shapes))
    if output is None:
        output = forms[0] if operator.keeps_format else operator.fixed_format(forms, forms[0].bits)
    output = output or draw(formats(BITS))
    constants = operator.lower(weights or {}, forms, output, list(shapes))
    samples = tuple(integers(draw, form, shape) for form, shape in zip(forms, shapes, strict=True))
    return Layer(operator, tuple(shapes), forms, output, constants, samples, weights or {})


def centred(layer: Layer) -> list[np.ndarray]:
    """The inputs less their zero points."""
    return [q.astype(np.int64) - form.zero_point for q, form in zip(layer.samples, layer.sources, strict=True)]


def assert_multipliers(m: Any, shift: Any, ratio: Any, span: float, bits: int = 30) -> None:
    """Each m is the integer nearest to ratio * 2^shift, with 13 bits unless shift or sum are as large as they may be.

    Ratios beyond 2^9 are cut off where the sum would not fit.
    """
    m, ratio = np.broadcast_arrays(np.asarray(m, np.float64), np.asarray(ratio, np.float64))
    real = ratio * 2.0 ** np.asarray(shift)
    inside = np.abs(ratio) < min(2.0**9, 2.0 ** (bits - 2) / span)
    assert np.all(np.abs(m - real)[inside] <= 0.5 + 1e-6)
    assert np.all(np.abs(m) < 2**15)
    largest = np.abs(m).max() if np.size(shift) == 1 else np.abs(m)
    assert np.all(
        (np.asarray(shift) >= min(30, bits - 10))  # a zero point of 8 bits is shifted too
        | (largest >= 2**13)
        | (largest * span >= 2.0 ** (bits - 3))
        | (np.abs(ratio) >= 2**9).any()
    )


def assert_rescaled(layer: Layer, found: np.ndarray, total: np.ndarray, shift: Any) -> None:
    """The integers are total / 2^shift, rounded, in the output's format."""
    assert found.dtype == layer.output.dtype
    wanted = clipped(layer.operator, layer.output, rounded(total, shift) + layer.output.zero_point)
    np.testing.assert_array_equal(found, wanted, repr(layer))


def span_of(form: Format) -> int:
    """Largest distance of an integer from the zero point."""
    return max(form.high - form.zero_point, form.zero_point - form.low)
