"""How do a feature map's values lie on the levels that its format has, and does the fitted density say the same?"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode
from ggdq_mcu.quantization import ggd
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.histogram import FloatArray, Histogram, Side

BARS = 64
_SHOWN_BEYOND = 1.25  # of the last level: what lies further away is counted as clipped, but has no bar
_MOST_LAYERS = 10_000


@dataclass(frozen=True)
class LevelHistogram:
    """Values of a feature map in levels: x / step, by channel where channels have steps of their own.

    ``bars`` are the shares of all values that are not zero, from ``start`` on, each ``width`` levels wide.
    ``low``, ``high``: first and last level, q - zero point. ``zeros``: share of exact zeros among all values;
    ``clipped``: share of the others that lie beyond the first or last level.
    ``k``, ``c``, ``s``: the generalized gamma density of the magnitudes, and ``positive`` the share that is above zero.
    """

    start: float
    width: float
    bars: tuple[float, ...]
    low: int
    high: int
    zeros: float
    clipped: float
    positive: float
    k: float
    c: float
    s: float

    def density(self, x: FloatArray) -> FloatArray:
        """The fitted density at ``x`` levels (M,) that are not zero."""
        share = np.where(x > 0, self.positive, 1 - self.positive)
        return np.asarray(share * ggd.GeneralizedGamma.of(self.k, self.c, self.s).density(np.abs(x)))


def level_histograms(network: QuantizedGraph, calibration: Calibration) -> dict[str, LevelHistogram]:
    """Of every feature map that calibration has seen, by name; where the operator fixes the step (softmax), of none."""
    nodes = [
        node
        for node in network.nodes
        if node.name in calibration.histograms and not _is_fixed(node) and node.format.zeros is None
    ]
    return {
        node.name: level_histogram(calibration.histograms[node.name].of_channels(node.channels), node.format)
        for node in nodes
    }


def _is_fixed(node: QuantizedNode) -> bool:
    any_input = [Format(8, True, 1.0)] * len(node.inputs)
    return bool(node.inputs) and node.operator.fixed_format(any_input, node.format.bits) is not None


def level_histogram(histogram: Histogram, format_: Format) -> LevelHistogram:
    """The values that ``histogram`` has counted, in levels of ``format_``."""
    low, high = format_.low - format_.zero_point, format_.high - format_.zero_point
    pooled = histogram.scaled(format_.step).pooled()
    above, below = float(pooled.positive.total[0]), float(pooled.negative.total[0])
    count = max(above + below, 1.0)
    start = float(max(min(low, -pooled.negative.maximum[0]), _SHOWN_BEYOND * low))
    end = float(min(max(high, pooled.positive.maximum[0]), _SHOWN_BEYOND * high))
    edges = np.linspace(start, end, BARS + 1)
    beyond = _survival(pooled.positive, high) + _survival(pooled.negative, -low)
    density = ggd.fit(pooled.magnitude)
    return LevelHistogram(
        start=start,
        width=(end - start) / BARS,
        bars=tuple(float(f"{bar:.4g}") for bar in _between(pooled.positive, pooled.negative, edges) / count),
        low=low,
        high=high,
        zeros=float(pooled.zeros[0] / max(pooled.samples[0], 1)),
        clipped=beyond / count,
        positive=above / count,
        k=float(density.k[0]),
        c=float(density.c[0]),
        s=float(density.s[0]),
    )


def to_json(histograms: Mapping[str, LevelHistogram]) -> bytes:
    """Histograms by layer, for a file."""
    return json.dumps({name: asdict(histogram) for name, histogram in histograms.items()}).encode()


def from_json(content: bytes) -> dict[str, LevelHistogram]:
    """What ``to_json`` wrote; GgdqError for anything else."""
    try:
        found = json.loads(content)
        if len(found) > _MOST_LAYERS:
            raise ValueError("too many layers")
        return {str(name): _from_plain(fields) for name, fields in found.items()}
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError) as error:
        raise GgdqError(f"not histograms of this version ({error})", fix="build the project again") from error


def _from_plain(fields: Mapping[str, Any]) -> LevelHistogram:
    numbers: dict[str, Any] = {name: float(value) for name, value in fields.items() if name != "bars"}
    bars = tuple(float(bar) for bar in fields["bars"])
    if len(bars) != BARS or not all(map(math.isfinite, (*bars, *numbers.values()))):
        raise ValueError("bars")
    numbers |= {"low": int(numbers["low"]), "high": int(numbers["high"])}
    return LevelHistogram(bars=bars, **numbers)


def _between(positive: Side, negative: Side, edges: FloatArray) -> FloatArray:
    """How many values lie between neighbouring edges (M + 1,), those that are zero left out."""
    above, below = np.maximum(edges, 0), np.maximum(-edges, 0)
    counts = -np.diff(positive.survival(above[None])[0]) + np.diff(negative.survival(below[None])[0])
    return np.asarray(np.maximum(counts, 0))


def _survival(side: Side, limit: float) -> float:
    """How many values are larger than ``limit`` by more than what rounding takes to it."""
    return float(side.survival(np.array([[max(limit, 0) + 0.5]]))[0, 0])
