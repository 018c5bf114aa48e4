"""How do values lie on their levels, and which fraction lengths have the weights? Small SVG pictures inside a page.

Their colours are the page's own (CSS variables), so that they follow its dark mode; matplotlib is imported here alone
and takes its time only where a page is made.
"""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from ggdq_mcu.quantization.level_histogram import LevelHistogram

_LEAST_DENSITY = 1e-7  # per level, of all values that are not zero; below, there is nothing to be seen
_CURVE_POINTS = 240
# Colours that matplotlib is given, and what the page calls them.
_COLOURS = {"#010101": "var(--ink)", "#020202": "var(--plot)", "#030303": "var(--curve)", "#040404": "var(--clip)"}
_INK, _PLOT, _CURVE, _CLIP = _COLOURS
_STYLE: Any = {"svg.fonttype": "none", "svg.hashsalt": "ggdq-mcu", "axes.edgecolor": _INK, "axes.unicode_minus": False}


def level_plots(histograms: Mapping[str, LevelHistogram]) -> dict[str, Markup]:
    """A picture of each: the bars, the fitted density, and the end of the levels; heights are logarithmic."""
    return _drawn(histograms, (3.6, 1.5), _draw_levels)


def fraction_length_plots(shifts: Mapping[str, NDArray[Any]]) -> dict[str, Markup]:
    """A picture of each layer's fraction lengths: on how many output channels each is found."""
    return _drawn(shifts, (3.6, 0.8), _draw_lengths)


def _drawn(
    subjects: Mapping[str, Any], size: tuple[float, float], draw: Callable[[Axes, Any], None]
) -> dict[str, Markup]:
    """Pictures by name. The axes are made once: to make them takes ten times as long as to draw."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its notes on fonts and caches are none of our users'
    pictures = {}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size)
        figure.patch.set_visible(False)
        bottom = 0.2 / size[1]
        axes = figure.add_axes((0.02, bottom, 0.96, 0.98 - bottom), facecolor="none")
        axes.set_yticks([])
        axes.tick_params("x", length=0, pad=3, labelsize=9)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        for name, subject in subjects.items():
            for artist in (*axes.lines, *axes.patches):
                artist.remove()
            draw(axes, subject)
            for artist in (*axes.lines, *axes.patches):
                artist.set_clip_on(False)
            pictures[name] = _svg(figure)
    return pictures


def _draw_levels(axes: Axes, histogram: LevelHistogram) -> None:
    edges = histogram.start + histogram.width * np.arange(len(histogram.bars) + 1)
    heights = _logarithm(np.array(histogram.bars) / histogram.width)
    x = np.linspace(edges[0], edges[-1], _CURVE_POINTS)
    x = x[np.abs(x) > histogram.width / 8]  # the density may have a pole at zero
    curve = _logarithm(histogram.density(x))
    top = 1.05 * max(heights.max(), 0.1)
    curve = np.minimum(curve, top)
    for end, beyond in ((histogram.low, edges[0]), (histogram.high, edges[-1])):
        if beyond != end and (beyond < histogram.low or beyond > histogram.high):
            axes.axvspan(end, beyond, color=_CLIP, alpha=0.25, linewidth=0)
        axes.plot([end, end], [0, top], color=_CLIP, linewidth=1)
    axes.add_patch(StepPatch(heights, edges, color=_PLOT, alpha=0.5, linewidth=0, fill=True))
    for part in (x < 0, x > 0):
        axes.plot(x[part], np.where(curve[part] > 0, curve[part], np.nan), color=_CURVE, linewidth=1.2)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, top)
    _label(axes, {histogram.low, 0, histogram.high})


def _draw_lengths(axes: Axes, shifts: NDArray[Any]) -> None:
    lengths, counts = np.unique(np.ravel(shifts), return_counts=True)
    shown = np.arange(min(lengths[0], 0), max(lengths[-1], 15) + 1)
    heights = np.zeros(len(shown))
    heights[np.searchsorted(shown, lengths)] = counts / counts.max()
    edges = np.arange(shown[0], shown[-1] + 2) - 0.5
    axes.add_patch(StepPatch(heights, edges, color=_PLOT, alpha=0.8, linewidth=0, fill=True))
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1)
    _label(axes, {int(shown[0]), int(lengths[0]), int(lengths[-1]), int(shown[-1])})


def _label(axes: Axes, places: set[int]) -> None:
    """Numbers below the axis; those at its ends do not stick out."""
    axes.set_xticks(sorted(places))
    left, right = axes.get_xlim()
    for label, place in zip(axes.get_xticklabels(), sorted(places), strict=True):
        share = (place - left) / (right - left)
        label.set_horizontalalignment("left" if share < 0.05 else "right" if share > 0.95 else "center")


def _logarithm(density: NDArray[Any]) -> NDArray[Any]:
    """Powers of ten above the least that is shown."""
    return np.asarray(np.log10(np.maximum(density, _LEAST_DENSITY) / _LEAST_DENSITY))


def _svg(figure: Figure) -> Markup:
    """The figure as an element of a page: without ids, which several pictures would share, in the page's colours."""
    content = io.StringIO()
    figure.savefig(content, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = content.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<(metadata|defs)>.*?</\1>|<defs/>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r' id="[^"]*"| xmlns:xlink="[^"]*"| version="[^"]*"| (?:width|height)="[\d.]+pt"', "", text)
    for given, named in _COLOURS.items():
        text = text.replace(given, named)
    return Markup(re.sub(r"\s+", " ", text).strip())
