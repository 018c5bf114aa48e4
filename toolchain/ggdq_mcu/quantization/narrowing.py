"""How much of its range does a feature map need, where only an activation reads it?

Behind swish, GELU or a sigmoid, values far out on one side hardly differ, and levels spent on them are lost. On sides where
the functions are bounded, the range is narrowed as far as that lowers the error behind them, over the values x seen:

    Σ (f(x) - f(Q(x)))²
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization.histogram import Distribution, Side

Array = NDArray[Any]
Function = Callable[[Array], Array]
_FACTORS = np.linspace(1.0, 0.2, 17)
_JOINED = 4  # bins looked at as one: some are left to each of 8-bit levels
_FAR = np.array([1e3, 1e4])


def narrowed(form: Format, distribution: Distribution, functions: Sequence[Function], clip_weight: float) -> Format:
    """The signed format of one step, or a narrower one, of the least error behind ``functions`` of all that reads the map.

    What is clipped counts ``clip_weight`` times.
    """
    low, high = (float(form.dequantize(np.array(q))) for q in (form.low, form.high))
    below, above = (_FACTORS if _bounded(functions, sign * _FAR) else _FACTORS[:1] for sign in (-1, 1))
    if len(below) == len(above) == 1 or not low < 0 < high:
        return form
    (left, less), (right, more) = (_points(side) for side in (distribution.negative, distribution.positive))
    values, counts = np.concatenate([-left, right]), np.concatenate([less, more])
    wanted = [function(values) for function in functions]

    def error(candidate: Format) -> float:
        found = candidate.dequantize(candidate.quantize(values))
        ends = (float(candidate.dequantize(np.array(q))) for q in (candidate.low, candidate.high))
        weights = counts * np.where((values < next(ends)) | (values > next(ends)), clip_weight, 1.0)
        return sum(float(total(weights * (f(found) - y) ** 2)) for f, y in zip(functions, wanted, strict=True))

    return min(_candidates(form, low, high, below, above), key=error)


def _candidates(form: Format, low: float, high: float, below: Array, above: Array) -> Iterator[Format]:
    yield form
    for left, right in product(below, above):
        step = (right * high - left * low) / ((1 << form.bits) - 1)
        zero_point = int(np.clip(form.low - round(left * low / step), form.low, form.high))
        yield Format(form.bits, True, float(step), zero_point)


def _bounded(functions: Sequence[Function], far: Array) -> bool:
    """Do all functions end in a constant there?"""
    with np.errstate(over="ignore", invalid="ignore"):
        ends = [function(far) for function in functions]
    return all(abs(first - last) <= 1e-6 for first, last in ends)


def _points(side: Side) -> tuple[Array, Array]:
    """Magnitudes and how often they occur, of a side of one row: middles of joined bins, and the atoms."""
    counts = total(side.counts[0].reshape(-1, _JOINED), 1)
    middles = (np.arange(len(counts)) + 0.5) * _JOINED * side.width[0]
    values, times = np.concatenate([middles, side.atoms[0]]), np.concatenate([counts, side.atom_counts[0]])
    return values[times > 0], times[times > 0]
