"""What does each feature map look like on real samples, or, without any, on what training left in the network?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.quantization.histogram import Histogram, merge

Array = NDArray[Any]
KEPT_SAMPLES = 200  # for what needs samples themselves, not only their statistics (bias correction, rounding)
_DRAWN_SAMPLES = 64
# Degrees of freedom of the Student distribution that data-free calibration draws from: real feature maps have
# heavier tails than the Gaussian that BatchNormalization's statistics alone would suggest.
_DEGREES_OF_FREEDOM = 8


@dataclass(frozen=True, eq=False)
class Calibration:
    """Statistics of every node's value by name, and the first few samples (float32) by input name.

    ``pixels`` tells which inputs were given as whole numbers from 0 to 255. ``drawn``: no sample was given, the
    statistics are those of feature maps drawn from the BatchNormalization statistics, and ``samples`` is empty.
    """

    histograms: Mapping[str, Histogram]
    samples: Mapping[str, Array] = field(default_factory=dict)
    pixels: frozenset[str] = frozenset()
    drawn: bool = False


def calibrate(graph: Graph, data: DataSet) -> Calibration:
    """Run the float network on ``data``, batch by batch; memory does not grow with the number of samples."""
    pixels = frozenset(name for name, x in data.samples.items() if x.dtype == np.uint8)
    histograms = _observe(graph, data.batches())
    kept = {name: x[:KEPT_SAMPLES].astype(np.float32) for name, x in data.samples.items()}
    return Calibration(histograms, kept, pixels)


def merged(first: Calibration, second: Calibration) -> Calibration:
    """The calibration of the samples of both, as if one run had seen them all."""
    names = first.histograms.keys()
    histograms = {name: merge(first.histograms[name], second.histograms[name]) for name in names}
    samples = {name: np.concatenate([x, second.samples[name]])[:KEPT_SAMPLES] for name, x in first.samples.items()}
    return Calibration(histograms, samples, first.pixels & second.pixels, first.drawn)


def calibrate_without_data(graph: Graph, seed: int = 0) -> Calibration:
    """Draw each feature map from the mean and deviation that BatchNormalization recorded for it, and go on from there.

    Nodes without recorded statistics (additions, pooling, the last dense layer) are computed from the drawn maps.
    """
    if not any(node.statistics for node in graph.nodes):
        raise GgdqError(
            "no samples, and no BatchNormalization whose statistics could stand in for them",
            f"network {graph.name!r}",
            "give samples with --calib data.npz (array x)",
        )
    random = np.random.default_rng(seed)
    inputs = {name: _draw_input(graph, graph.by_name[name], random) for name in graph.inputs}

    def replace(node: Node, value: Array) -> Array:
        if node.statistics is None:
            return value
        drawn = _student(random, value.shape) * node.statistics.deviation + node.statistics.mean
        result: Array = node.operator.clip(drawn.astype(np.float32))
        return result

    return Calibration(_observe(graph, [inputs], replace), drawn=True)


def _observe(graph: Graph, batches: Iterable[Mapping[str, Array]], replace: Any = None) -> dict[str, Histogram]:
    histograms: dict[str, Histogram] = {}

    def visit(node: Node, value: Array) -> Array:
        if replace is not None:
            value = replace(node, value)
        if not node.operator.keeps_format:
            if node.name not in histograms:
                histograms[node.name] = Histogram.empty(value.shape[-1] if value.ndim > 1 else 1)
            histograms[node.name].update(value, f"layer {node.name!r}")
        return value

    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused with the layer's name
        for batch in batches:
            graph.run(batch, visit)
    return histograms


def _student(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Draws of unit variance from Student's distribution."""
    freedom = _DEGREES_OF_FREEDOM
    return np.asarray(random.standard_t(freedom, shape) * np.sqrt((freedom - 2) / freedom))


def _draw_input(graph: Graph, node: Node, random: np.random.Generator) -> Array:
    """Inputs whose mean and deviation explain what the first normalised layer recorded, by least squares."""
    shape = (_DRAWN_SAMPLES, *graph.shapes[node.name])
    noise = _student(random, shape).astype(np.float32)
    readers = [reader for reader in graph.consumers(node.name) if reader.statistics is not None]
    if not readers:
        return noise
    reader = readers[0]
    assert reader.statistics is not None
    kernel, bias = reader.weights["kernel"], reader.weights.get("bias", 0.0)
    linear: Any = reader.operator
    columns = linear.by_output(np.asarray(kernel, np.float64))
    sums, squares = columns.sum(axis=0), (columns**2).sum(axis=0)
    mean = float(sums @ (reader.statistics.mean - bias) / max(sums @ sums, 1e-12))
    variance = float(squares @ reader.statistics.deviation**2 / max(squares @ squares, 1e-12))
    return np.asarray(mean + np.sqrt(variance) * noise, np.float32)
