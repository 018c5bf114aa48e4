"""How do values lie on their levels, and which fraction lengths have the weights? Small SVG pictures inside a page.

Their colours are the page's own (CSS variables), so that they follow its dark mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import log10
from ggdq_mcu.quantization.level_histogram import LevelHistogram

Array = NDArray[Any]
_LEAST_DENSITY = 1e-7  # per level, of all values that are not zero; below, there is nothing to be seen
_CURVE_POINTS = 160
_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 14, 292, 6, 30  # of a picture, in its own units; the last from below
_LONGEST = 200  # characters of a title: a damaged file may name its layers as it likes
_FEWEST_APART = 34  # units between two numbers on an axis
Place = Callable[[float], float]


def level_plot(name: str, histogram: LevelHistogram) -> Markup:
    """The bars, the fitted density, and the end of the levels; heights are logarithmic."""
    height = 130
    edges = histogram.start + histogram.width * np.arange(len(histogram.bars) + 1)
    heights = _logarithm(np.array(histogram.bars) / histogram.width)
    x = np.linspace(edges[0], edges[-1], _CURVE_POINTS)
    x = x[np.abs(x) > histogram.width / 8]  # the density may have a pole at zero
    curve = _logarithm(histogram.density(x))
    top = 1.05 * max(float(heights.max()), 0.1)
    across = _scale(float(edges[0]), float(edges[-1]), _LEFT, _RIGHT)
    up = _scale(0.0, top, height - _BOTTOM, _TOP)
    parts = []
    for end, beyond in ((histogram.low, float(edges[0])), (histogram.high, float(edges[-1]))):
        if beyond != end and (beyond < histogram.low or beyond > histogram.high):
            left, right = sorted((across(end), across(beyond)))
            parts.append(_box(left, _TOP, right - left, height - _BOTTOM - _TOP, "clip", 0.25))
        parts.append(_line([(across(end), up(0)), (across(end), up(top))], "clip", 1))
    steps = [(across(edge), up(h)) for i, h in enumerate(heights) for edge in (edges[i], edges[i + 1])]
    outline = [(steps[0][0], up(0)), *steps, (steps[-1][0], up(0))]
    parts.append(f'<path d="{_path(outline)}Z" style="fill:var(--plot)" fill-opacity="0.5"/>')
    for side in (x < 0, x > 0):
        points = [(across(a), up(min(b, top))) for a, b in zip(x[side], curve[side], strict=True) if b > 0]
        if len(points) > 1:
            parts.append(_line(points, "curve", 1.2))
    parts += _axis({histogram.low, 0, histogram.high}, across, height, "value / step")
    parts.append(f'<text transform="translate(9 {height - _BOTTOM}) rotate(-90)" font-size="9">log density</text>')
    title = f"{name}: values in levels, from {histogram.low} to {histogram.high}, with the fitted density"
    return _svg(height, title, parts)


def fraction_length_plot(name: str, shifts: Array) -> Markup:
    """On how many output channels each fraction length of a layer's weights is found."""
    height = 76
    lengths, counts = np.unique(np.ravel(shifts), return_counts=True)
    first, last = min(int(lengths[0]), 0), max(int(lengths[-1]), 15)
    across = _scale(first - 0.5, last + 0.5, _LEFT, _RIGHT)
    up = _scale(0.0, float(counts.max()), height - _BOTTOM, _TOP)
    parts = []
    for length, count in zip(lengths.tolist(), counts.tolist(), strict=True):
        left, right = across(length - 0.45), across(length + 0.45)
        said = f"fraction length {length}: {count} channels"
        parts.append(_box(left, up(count), right - left, up(0) - up(count), "plot", 0.8, said))
    parts += _axis({first, int(lengths[0]), int(lengths[-1]), last}, across, height, "fraction length")
    return _svg(height, f"{name}: output channels by fraction length, {lengths[0]} to {lengths[-1]}", parts)


def _scale(low: float, high: float, start: float, end: float) -> Place:
    return lambda value: start + (value - low) * (end - start) / (high - low)


def _axis(places: Iterable[int], across: Place, height: int, label: str) -> list[str]:
    """A line, the numbers below it, those at its ends not beyond it, and what they count."""
    base = height - _BOTTOM
    parts = [_line([(_LEFT, base), (_RIGHT, base)], "soft", 1)]
    shown: list[float] = []
    for value in sorted(places, key=lambda value: (value == 0, value)):  # of two too near, zero goes
        x = across(value)
        if any(abs(x - other) < _FEWEST_APART for other in shown) and value == 0:
            continue
        shown.append(x)
        anchor = "start" if x < _LEFT + 8 else "end" if x > _RIGHT - 8 else "middle"
        parts.append(
            f'<text class="number" x="{x:.1f}" y="{base + 12}" text-anchor="{anchor}" font-size="10">{value}</text>'
        )
    middle = (_LEFT + _RIGHT) / 2
    parts.append(f'<text x="{middle:.0f}" y="{height - 5}" text-anchor="middle" font-size="9">{label}</text>')
    return parts


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    return f'<path d="{_path(points)}" style="stroke:var(--{colour})" fill="none" stroke-width="{width}"/>'


def _box(x: float, y: float, width: float, height: float, colour: str, opacity: float, title: str = "") -> str:
    said = f"<title>{escape(title)}</title>" if title else ""
    place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
    return f'<rect {place} style="fill:var(--{colour})" fill-opacity="{opacity}">{said}</rect>'


def _svg(height: int, title: str, parts: Sequence[str]) -> Markup:
    named = escape(title if len(title) <= _LONGEST else f"{title[:_LONGEST]} ...")
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{named}">'
    return Markup("".join([head, f"<title>{named}</title>", *parts, "</svg>"]))


def _logarithm(density: Array) -> Array:
    """Powers of ten above the least that is shown."""
    return np.asarray(log10(np.maximum(density, _LEAST_DENSITY) / _LEAST_DENSITY))
