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
from ggdq_mcu.describe.tasks import Task, task_of
from ggdq_mcu.emulation.backend import Backend, per_sample
from ggdq_mcu.graph import Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.numerics.functions import log10
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.operators.activation import SIGMOIDS, Activation
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
class Fit:
    """How near values are to those that they should be: the root of the mean squared error, and Pearson's correlation.

    ``correlation`` is None where one of the two does not vary.
    """

    rmse: float
    correlation: float | None


@dataclass(frozen=True)
class Evaluation:
    """Fractions from 0 to 1 of the samples; the accuracies are None where there are no labels, or the task has no classes.

    ``agreement``: how often both networks give the same class (the largest value of the first output; for
    one value, the side of one half it is on after a sigmoid, else its sign; of a map, at each position); None unless
    ``task`` is "classification". ``fit`` compares the values of the first output with the float network's; ``error`` and
    ``float_error`` compare both networks with what is wanted: the labels of a regression, the input of a reconstruction.
    ``outputs``: for a softmax or a sigmoid, the SQNR is that of the logits. ``outputs`` and ``layers`` are empty where the
    network ran elsewhere than in the reference.
    ``confusion``: samples by class (row) and by the class that the quantized network gives; None for more than 100.
    """

    samples: int
    accuracy: float | None
    float_accuracy: float | None
    agreement: float | None
    outputs: tuple[Quality, ...]
    layers: tuple[Quality, ...]
    confusion: tuple[tuple[int, ...], ...] | None = None
    task: str = Task.CLASSES
    fit: Fit | None = None
    error: Fit | None = None
    float_error: Fit | None = None


@dataclass
class _Tally:
    """Sums over the batches: energy and squared error by layer, and the first output (N, ...) of both networks."""

    signal: dict[str, float] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    outputs: list[Array] = field(default_factory=list)
    float_outputs: list[Array] = field(default_factory=list)

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
        _scores(tally, graph, data),
        outputs=tuple(Quality(name, tally.sqnr(_logits(network, name)).sqnr_db) for name in network.outputs),
        layers=tuple(tally.sqnr(node.name) for node in network.nodes if node.inputs and not node.operator.is_view),
    )


def compare_classes(
    graph: Graph, network: QuantizedGraph, backend: Backend, data: DataSet, progress: Progress
) -> Evaluation:
    """The quantized network as it runs at ``backend`` against the float one."""
    tally = _Tally()
    first = network.outputs[0]
    format_, shape = network.by_name[first].format, network.shapes[first]
    done = 0
    for batch in data.batches(_SENT_AT_ONCE):
        progress.step(f"evaluating on {backend.name}", done, len(data))
        samples = per_sample(network.quantize_inputs(batch), network.inputs)
        outputs = np.stack([output[0] for output in backend.run(samples)]).reshape(-1, *shape)
        tally.outputs.append(format_.dequantize(outputs))
        tally.float_outputs.append(graph.run(batch)[first])
        done += len(samples)
    return _scores(tally, graph, data)


def _scores(tally: _Tally, graph: Graph, data: DataSet) -> Evaluation:
    """What the outputs tell beside the labels."""
    first = graph.outputs[0]
    values, real = np.concatenate(tally.outputs), np.concatenate(tally.float_outputs)
    task = task_of(graph, data.labels)
    known = Evaluation(len(values), None, None, None, (), (), task=task, fit=fit_of(values, real))
    if task is not Task.CLASSES:
        wanted = _wanted(task, graph, data)
        return (
            known if wanted is None else replace(known, error=fit_of(values, wanted), float_error=fit_of(real, wanted))
        )
    middle = boundary(graph, first)
    classes, float_classes = classes_of(values, middle), classes_of(real, middle)
    known = replace(known, agreement=float(np.mean(classes == float_classes)))
    if data.labels is None:
        return known
    labels = classes_of_labels(data.labels, graph.shapes[first])
    return replace(
        known,
        accuracy=float(np.mean(classes == labels)),
        float_accuracy=float(np.mean(float_classes == labels)),
        confusion=_confusion(labels, classes),
    )


def _wanted(task: Task, graph: Graph, data: DataSet) -> Array | None:
    """What the first output should be; None where nobody says."""
    if task is Task.RECONSTRUCTION and data.labels is None:
        return data.samples[graph.inputs[0]]
    return data.labels if task is Task.REGRESSION else None


def fit_of(values: Array, wanted: Array) -> Fit:
    """How near ``values`` are to the ``wanted`` ones, element by element."""
    x, y = np.asarray(values, np.float64).ravel(), np.asarray(wanted, np.float64).ravel()
    error = float(np.sqrt(total(np.square(x - y)) / len(x)))
    x, y = x - total(x) / len(x), y - total(y) / len(y)
    spread = float(total(x * x)) * float(total(y * y))
    return Fit(error, float(total(x * y)) / math.sqrt(spread) if spread > 0 else None)


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
    tally.float_outputs.append(float_output)
    tally.outputs.append(network.by_name[first].format.dequantize(output))


def _logits(network: QuantizedGraph, name: str) -> str:
    """The layer whose SQNR stands for output ``name``: that of the logits, where softmax or a sigmoid ends it.

    A sigmoid's levels are 1/256: of outputs that are all below, the SQNR says nothing of the network.
    """
    node = network.by_name[name]
    while node.operator.is_view and node.inputs:
        node = network.by_name[node.inputs[0]]
    sigmoid = isinstance(node.operator, Activation) and node.operator.function in SIGMOIDS
    return node.inputs[0] if node.operator.reads_wide or sigmoid else name
