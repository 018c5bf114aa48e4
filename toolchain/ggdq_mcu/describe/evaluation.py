"""How good is the quantized network: accuracy, agreement with the float network, SQNR layer by layer?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import BATCH, DataSet
from ggdq_mcu.describe.classes import boundary, classes_of, classes_of_labels
from ggdq_mcu.emulation.backend import Backend, per_sample
from ggdq_mcu.graph import Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.numerics.functions import log10
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.progress import SILENT, Progress

Array = NDArray[Any]
_SENT_AT_ONCE = 10
_MOST_CLASSES = 100


@dataclass(frozen=True)
class Quality:
    """Signal-to-quantization-noise ratio of a layer or an output in dB; infinite where there is no error."""

    name: str
    sqnr_db: float


@dataclass(frozen=True)
class Evaluation:
    """Fractions from 0 to 1 of the samples; the accuracies are None where there are no labels.

    ``agreement``: how often both networks give the same class (the largest value of the first output; for
    one value, the side of one half it is on after a sigmoid, else its sign; of a map, at each position).
    ``outputs``: for a softmax, the SQNR is that of the logits. ``outputs`` and ``layers`` are empty where the network
    ran elsewhere than in the reference.
    ``confusion``: samples by class (row) and by the class that the quantized network gives; None for more than 100.
    """

    samples: int
    accuracy: float | None
    float_accuracy: float | None
    agreement: float
    outputs: tuple[Quality, ...]
    layers: tuple[Quality, ...]
    confusion: tuple[tuple[int, ...], ...] | None = None


@dataclass
class _Tally:
    """Sums over the batches: energy and squared error by layer, and the classes that both networks give."""

    signal: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    classes: list[Array] = field(default_factory=list)
    float_classes: list[Array] = field(default_factory=list)

    def sqnr(self, name: str) -> Quality:
        signal, noise = self.signal[name], self.noise[name]
        if noise == 0:
            return Quality(name, math.inf)
        return Quality(name, 10 * float(log10(signal / noise)) if signal else -math.inf)


def compare(graph: Graph, network: QuantizedGraph, data: DataSet, progress: Progress = SILENT) -> Evaluation:
    """The quantized ``network`` against the float ``graph`` that it was made from."""
    tally = _Tally()
    for number, batch in enumerate(data.batches()):
        progress.step("evaluating", number * BATCH, len(data))
        _add_batch(tally, graph, network, batch)
    return replace(
        _scores(tally, data.labels, network.shapes[network.outputs[0]]),
        outputs=tuple(Quality(name, tally.sqnr(_before_softmax(network, name)).sqnr_db) for name in network.outputs),
        layers=tuple(tally.sqnr(node.name) for node in network.nodes if node.inputs and not node.operator.is_view),
    )


def compare_classes(
    graph: Graph, network: QuantizedGraph, backend: Backend, data: DataSet, progress: Progress
) -> Evaluation:
    """The quantized network as it runs at ``backend`` against the float one."""
    tally = _Tally()
    first = network.outputs[0]
    format_, shape = network.by_name[first].format, network.shapes[first]
    middle = boundary(graph, first)
    done = 0
    for batch in data.batches(_SENT_AT_ONCE):
        progress.step(f"evaluating on {backend.name}", done, len(data))
        samples = per_sample(network.quantize_inputs(batch), network.inputs)
        outputs = np.stack([output[0] for output in backend.run(samples)]).reshape(-1, *shape)
        tally.classes.append(classes_of(format_.dequantize(outputs), middle))
        tally.float_classes.append(classes_of(graph.run(batch)[first], middle))
        done += len(samples)
    return _scores(tally, data.labels, shape)


def _scores(tally: _Tally, given: Array | None, shape: Shape) -> Evaluation:
    """What the classes tell beside the labels for an output of ``shape``."""
    labels = None if given is None else classes_of_labels(given, shape)
    classes, float_classes = np.concatenate(tally.classes), np.concatenate(tally.float_classes)
    return Evaluation(
        samples=len(classes),
        accuracy=None if labels is None else float(np.mean(classes == labels)),
        float_accuracy=None if labels is None else float(np.mean(float_classes == labels)),
        agreement=float(np.mean(classes == float_classes)),
        outputs=(),
        layers=(),
        confusion=None if labels is None else _confusion(labels, classes),
    )


def _confusion(labels: Array, classes: Array) -> tuple[tuple[int, ...], ...] | None:
    """Samples (of maps, positions) by label and class; None where that would be no table of classes."""
    labels, classes = labels.ravel(), classes.ravel()
    known = np.concatenate([labels, classes])
    if not ((known >= 0) & (known < _MOST_CLASSES) & (known == np.floor(known))).all():
        return None
    counts = np.zeros((int(known.max()) + 1,) * 2, np.int64)
    np.add.at(counts, (labels.astype(np.int64), classes), 1)
    return tuple(map(tuple, counts.tolist()))


def _add_batch(tally: _Tally, graph: Graph, network: QuantizedGraph, batch: Mapping[str, Array]) -> None:
    expected: dict[str, Array] = {}

    def keep(node: Node, value: Array) -> Array:
        expected[node.name] = value
        return value

    def measure(node: QuantizedNode, value: Array) -> Array:
        real = node.of_float(expected[node.name]).astype(np.float64)
        error = node.format.dequantize(value) - real
        tally.signal[node.name] = tally.signal.get(node.name, 0.0) + float(total(real * real))
        tally.noise[node.name] = tally.noise.get(node.name, 0.0) + float(total(error * error))
        return value

    first = network.outputs[0]
    float_output = graph.run(batch, keep)[first]
    output = network.run(network.quantize_inputs(batch), measure)[first]
    middle = boundary(graph, first)
    tally.float_classes.append(classes_of(float_output, middle))
    tally.classes.append(classes_of(network.by_name[first].format.dequantize(output), middle))


def _before_softmax(network: QuantizedGraph, name: str) -> str:
    """The layer whose SQNR stands for output ``name``: that of the logits, where softmax or its logarithm ends it."""
    node = network.by_name[name]
    return node.inputs[0] if node.operator.reads_wide else name
