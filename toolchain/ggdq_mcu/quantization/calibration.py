"""What does each feature map look like on real samples, or, without any, on what training left in the network?"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.quantization.distortion import Levels
from ggdq_mcu.quantization.drawn import Adjustment, adjusted_values, draw_inputs
from ggdq_mcu.quantization.headroom import Peaks, Room
from ggdq_mcu.quantization.histogram import Distribution, Histogram, merge
from ggdq_mcu.quantization.schemes import Scheme, signed_format

Array = NDArray[Any]
Known = TypeVar("Known")
KEPT_SAMPLES = 200  # for what needs samples themselves, not only their statistics (bias correction, rounding)


@dataclass(frozen=True, eq=False)
class Calibration:
    """Statistics of every node's value by name, and the first few samples (float32) by input name, with their labels.

    ``pixels`` tells which inputs were given as whole numbers from 0 to 255; ``seen`` how many samples there were.
    ``adjustments``, where there was none: what fits the drawn feature maps to the recorded statistics, by node name;
    then ``drawn`` is true. ``peaks`` tells how far the samples reach, by node name; none where they are drawn.
    """

    histograms: Mapping[str, Histogram]
    samples: Mapping[str, Array] = field(default_factory=dict)
    pixels: frozenset[str] = frozenset()
    seen: int = 0
    adjustments: Mapping[str, Adjustment] = field(default_factory=dict)
    labels: Array | None = None
    peaks: Mapping[str, Peaks] = field(default_factory=dict)

    _known: dict[tuple[Any, ...], Any] = field(default_factory=dict, init=False, repr=False)

    def channels(self, node: str) -> Distribution:
        """The distribution of each channel of a feature map; remembered, like all of these."""
        return self.remembered(("channels", node), self.histograms[node].channel_distributions)

    def distribution(self, node: str) -> Distribution:
        """The distribution of a whole feature map."""
        return self.remembered(("distribution", node), self.channels(node).pooled)

    def signed_format(self, node: str, bits: int, chosen: Scheme) -> tuple[float, int]:
        """Step and zero point of a signed feature map."""
        return self.remembered(
            ("signed", node, bits, chosen.name), lambda: signed_format(self.distribution(node), bits, chosen)
        )

    def step(self, node: str, chosen: Scheme, bits: int, signed: bool, profile: Array | None = None) -> float:
        """The scheme's step of a feature map, or of its channels divided by ``profile`` (C,)."""
        key = "step", node, chosen.name, bits, signed, None if profile is None else profile.tobytes()

        return self.remembered(key, lambda: chosen.step(self._scaled(node, profile), bits, signed))

    def room(self, node: str, step: float, levels: Levels, profile: Array | None = None) -> Room:
        """What wider steps of a feature map cost, or of its channels divided by ``profile`` (C,)."""
        key = "room", node, step, levels, None if profile is None else profile.tobytes()

        def found() -> Room:
            peaks = self.peaks.get(node)
            scaled = peaks if peaks is None or profile is None else peaks.scaled(profile)
            return Room.of(step, levels, self._scaled(node, profile), scaled and scaled.pooled())

        return self.remembered(key, found)

    def _scaled(self, node: str, profile: Array | None) -> Distribution:
        """The distribution of a whole feature map whose channels are divided by ``profile`` (C,), if any."""
        if profile is None:
            return self.distribution(node)
        key = "scaled", node, profile.tobytes()
        return self.remembered(key, lambda: self.histograms[node].scaled(profile).pooled())

    def remembered(self, key: tuple[Any, ...], found: Callable[[], Known]) -> Known:
        """What was found under that key, or is found now."""
        if key not in self._known:
            self._known[key] = found()
        known: Known = self._known[key]
        return known

    @property
    def drawn(self) -> bool:
        """Was there no sample, so that the feature maps had to be drawn?"""
        return bool(self.adjustments)


def calibrate(graph: Graph, data: DataSet) -> Calibration:
    """Run the float network on ``data``, batch by batch; memory does not grow with the number of samples.

    Samples that repeat others count once.
    """
    different = unique_samples(data.samples)
    if len(different) < len(data):
        labels = None if data.labels is None else data.labels[different]
        data = replace(data, samples={name: x[different] for name, x in data.samples.items()}, labels=labels)
    pixels = frozenset(name for name, x in data.samples.items() if x.dtype == np.uint8)
    histograms, peaks = _observe(graph, data.batches())
    kept = {name: x[:KEPT_SAMPLES].astype(np.float32) for name, x in data.samples.items()}
    labels = None if data.labels is None else data.labels[:KEPT_SAMPLES]
    return Calibration(histograms, kept, pixels, len(data), labels=labels, peaks=peaks)


def unique_samples(samples: Mapping[str, Array]) -> list[int]:
    """Where the samples (N, ...) are that repeat none before them, in all inputs."""
    found: dict[bytes, int] = {}
    for i in range(len(next(iter(samples.values())))):
        digest = hashlib.blake2b(digest_size=16)
        for x in samples.values():
            digest.update(np.ascontiguousarray(x[i]).tobytes())
        found.setdefault(digest.digest(), i)
    return list(found.values())


def merged(first: Calibration, second: Calibration) -> Calibration:
    """The calibration of the samples of both, as if one run had seen them all."""
    names = first.histograms.keys()
    histograms = {name: merge(first.histograms[name], second.histograms[name]) for name in names}
    samples = {name: np.concatenate([x, second.samples[name]])[:KEPT_SAMPLES] for name, x in first.samples.items()}
    labels = None
    if first.labels is not None and second.labels is not None:
        labels = np.concatenate([first.labels, second.labels])[:KEPT_SAMPLES]
    peaks = {name: first.peaks[name].merged(second.peaks[name]) for name in names}
    pixels, seen = first.pixels & second.pixels, first.seen + second.seen
    return Calibration(histograms, samples, pixels, seen, labels=labels, peaks=peaks)


def calibrate_without_data(graph: Graph, seed: int = 0) -> Calibration:
    """Feature maps drawn to fit the means and deviations that BatchNormalization recorded; GgdqError if it did not."""
    inputs = draw_inputs(graph, seed)
    histograms: dict[str, Histogram] = {}
    adjustments: dict[str, Adjustment] = {}
    for node, value, adjustment in adjusted_values(graph, inputs):
        if adjustment is not None:
            adjustments[node.name] = adjustment
        if not node.operator.keeps_format:
            _count(histograms, node, value)
    return Calibration(histograms, inputs, adjustments=adjustments)


def _observe(graph: Graph, batches: Iterable[Mapping[str, Array]]) -> tuple[dict[str, Histogram], dict[str, Peaks]]:
    histograms: dict[str, Histogram] = {}
    peaks: dict[str, Peaks] = {}

    def visit(node: Node, value: Array) -> Array:
        if not node.operator.keeps_format:
            _count(histograms, node, value)
            found = Peaks.of(value)
            peaks[node.name] = peaks[node.name].merged(found) if node.name in peaks else found
        return value

    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused with the layer's name
        for batch in batches:
            graph.run(batch, visit)
    return histograms, peaks


def _count(histograms: dict[str, Histogram], node: Node, value: Array) -> None:
    if node.name not in histograms:
        histograms[node.name] = Histogram.empty(value.shape[-1] if value.ndim > 1 else 1)
    histograms[node.name].update(value, f"layer {node.name!r}")
