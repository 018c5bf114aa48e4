"""Do the samples look like those that the network was trained on? BatchNormalization recorded what these were like.

Real samples stay near the means and deviations that training recorded; noise, shuffled pixels and samples in another scale do
not. Measured on trained networks as the misfit below: up to 0.15 with 20 real samples and 2.8 with one, 1.4 to 2.7 with noise
of the right mean and deviation, 5 and more with pixels divided by 255 or multiplied by it. A network that was trained shortly
keeps statistics of its beginning (4.1 with its own samples), so a contradiction alone does not condemn the samples.

Where they contradict each other, every map's distribution is that of the samples and that of values drawn to fit the statistics
together, so that no range is too narrow for either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.numerics.functions import log
from ggdq_mcu.numerics.noise import Noise
from ggdq_mcu.numerics.sums import mean
from ggdq_mcu.quantization.calibration import Calibration, calibrate_without_data, unique_samples
from ggdq_mcu.quantization.drawn import moments
from ggdq_mcu.quantization.histogram import merge

Array = NDArray[Any]
_ALIKE = (
    1.25  # ratio of misfits that are the same: so much did noise change where it was shuffled, and real samples more
)
_MOST_SAMPLES = 32
_LARGEST = 100.0  # a single channel's share of the misfit is no larger
_FEWEST_VALUES = 16  # of a channel: the deviation of fewer says little


def misfit(graph: Graph, inputs: Mapping[str, Array]) -> float | None:
    """How far the samples (N, ...) by input name are from the recorded statistics; None where there are none to compare with.

    For each channel of a normalised layer the square of its mean's error, in deviations, and of the logarithm of its
    deviation's ratio; averaged over channels, then over layers. At most 32 samples are looked at.
    """
    found: list[float] = []

    def visit(node: Node, value: Array) -> Array:
        if not _recorded(node):
            return value
        assert node.statistics is not None
        middle, variance = moments(value)
        wanted = node.statistics.deviation
        active = wanted > 1e-6 * max(float(wanted.max(initial=0.0)), 1e-30)
        if active.any() and value[..., 0].size >= _FEWEST_VALUES:
            shift = (middle - node.statistics.mean)[active] / wanted[active]
            ratio = log(np.maximum(np.sqrt(variance[active]), 1e-9 * wanted[active]) / wanted[active])
            found.append(float(mean(np.minimum(np.nan_to_num(shift**2 + ratio**2, nan=_LARGEST), _LARGEST))))
        return graph.by_name[node.name].operator.clip(value)

    some = {name: x[:_MOST_SAMPLES].astype(np.float32) for name, x in inputs.items()}
    with np.errstate(all="ignore"):  # samples in a wrong scale may overflow
        _unclipped(graph).run(some, visit)
    return float(mean(np.array(found))) if found else None


def _recorded(node: Node) -> bool:
    """Has the node statistics, other than those (mean 0, deviation 1) that a layer starts with before any training?"""
    known = node.statistics
    return known is not None and not (np.all(known.mean == 0) and np.all(known.deviation == 1))


def _unclipped(graph: Graph) -> Graph:
    """The network whose normalised layers do not clip: statistics are those before it."""
    nodes = (
        replace(node, operator=replace(node.operator, low=-np.inf, high=np.inf)) if _recorded(node) else node
        for node in graph.nodes
    )
    return replace(graph, nodes=tuple(nodes))


def with_statistics(graph: Graph, calibration: Calibration) -> tuple[Calibration, str]:
    """The calibration or, where its samples contradict the statistics, that of both together and a line that says so.

    Weights are refined on the samples, unless these have no more structure than noise: then on what is drawn.
    """
    samples = calibration.samples
    if calibration.drawn or not samples:
        return calibration, ""
    found = misfit(graph, samples)
    if found is None or found <= contradiction(len(next(iter(samples.values())))):
        return calibration, ""
    drawn = calibrate_without_data(graph)
    both = {name: merge(one, drawn.histograms[name]) for name, one in calibration.histograms.items()}
    shuffled = misfit(graph, {name: _shuffled(x) for name, x in samples.items()}) or 0.0
    told = "the means and deviations that BatchNormalization recorded in training contradict the samples, and count beside them"
    if max(found, shuffled) < _ALIKE * min(found, shuffled):
        told += "; shuffled they fit as well, as noise does: calibrate on real samples"
        return replace(drawn, histograms=both, pixels=calibration.pixels, seen=calibration.seen), told
    told += ": are they scaled as in training?"
    return replace(calibration, histograms=both), told


def contradiction(count: int) -> float:
    """The misfit from which so many samples do not look like those of training."""
    return 1 + 2 / max(count, 1)


def _shuffled(x: Array) -> Array:
    """Samples (N, ..., C) with their positions, or their C features where there is one position, in another order."""
    rows = x.reshape(len(x), -1, x.shape[-1])
    axis = 1 if rows.shape[1] > 1 else 2
    order = np.argsort(Noise(0).normal((rows.shape[axis],)), kind="stable")
    return np.asarray(np.take(rows, order, axis=axis).reshape(x.shape))


def odd_samples(data: DataSet) -> list[str]:
    """What is odd about the samples whatever the network: constant, all alike, repeated, of one class; a line each."""
    where = data.source or "the samples"
    for name, x in data.samples.items():
        flat = x.reshape(len(x), -1)
        if len(x) and np.all(flat == flat[0, 0]):
            return [f"{where}: every value of input {name!r} is {float(flat[0, 0]):g}: give samples of real use"]
        if len(x) > 1 and np.all(flat == flat[0]):
            return [f"{where}: all {len(x)} samples of input {name!r} are the same one: give different ones"]
    lines = []
    repeated = len(data) - len(unique_samples(data.samples))
    if repeated:
        lines.append(f"{where}: {repeated} of {len(data)} samples repeat others and do not count: give different ones")
    labels = None if data.labels is None else np.asarray(data.labels).reshape(len(data), -1)
    if labels is not None and len(labels) >= _FEWEST_VALUES and np.all(labels == labels[0]):
        lines.append(f"{where}: all {len(labels)} samples have the same label: calibrate on samples of every class")
    return lines
