"""What does quantization cost, and what is each choice worth: by layer, scheme, bit length and improvement?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet, load_data
from ggdq_mcu.describe.classes import boundary, classes_of, classes_of_labels
from ggdq_mcu.describe.evaluation import compare
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.importers import load
from ggdq_mcu.importers.shapes import InputShapes
from ggdq_mcu.numerics.functions import log10
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.passes import optimize
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.quantization import ggd
from ggdq_mcu.quantization.calibration import Calibration, calibrate
from ggdq_mcu.quantization.channel_steps import never_negative
from ggdq_mcu.quantization.distortion import Levels, sqnr_db
from ggdq_mcu.quantization.histogram import Side
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.quantization.schemes import SCHEMES
from ggdq_mcu.quantization.sensitivity import measure
from ggdq_mcu.threads import one_thread

Array = NDArray[Any]
_KEPT = 48  # samples that the many networks of one analysis refine their weights on
_ANY = Format(8, True, 1.0)
_WEIGHT_BITS: tuple[int, ...] = (2, 4, 16)
_MAP_BITS: tuple[int, ...] = (16,)
_HELD_OUT = 200  # samples that they are compared on


@dataclass(frozen=True)
class Fit:
    """Generalized gamma density of the values that are not zero: shapes k and c, scale s."""

    k: float
    c: float
    s: float


@dataclass(frozen=True)
class Layer:
    """A feature map with one step: its fit, and by bits and scheme the step and the SQNR in dB."""

    name: str
    rectified: bool
    zeros: float
    fit: Fit
    steps: Mapping[int, Mapping[str, float]]
    sqnr_db: Mapping[int, Mapping[str, float]]


@dataclass(frozen=True)
class Variant:
    """A whole quantized network: what is special about it, the SQNR of its first output (logits), its accuracy."""

    name: str
    sqnr_db: float
    accuracy: float | None
    agreement: float


@dataclass(frozen=True)
class TensorCost:
    """A layer's weights, or its feature map (``kind``), alone at other bit lengths than 8, all else at 8.

    By bits: how many dB the outputs' SQNR falls, as far as noises add up, and the bytes of flash or RAM that are saved.
    Both are negative for lengths beyond 8. A map shares its RAM with others: its bytes are the most that is saved.
    """

    name: str
    kind: str
    lost_db: Mapping[int, float]
    saved_bytes: Mapping[int, int]


@dataclass(frozen=True)
class Analysis:
    """All of it. ``schemes``: every step by that scheme, all improvements on; ``without``: one improvement off.

    ``layers_sqnr_db``: of the default network, layer by layer, errors of the layers before included.
    """

    name: str
    calibrated_on: int
    compared_on: int
    float_accuracy: float | None
    layers: tuple[Layer, ...]
    layers_sqnr_db: Mapping[str, float]
    tensors: tuple[TensorCost, ...] = ()
    bits: tuple[Variant, ...] = ()
    schemes: tuple[Variant, ...] = ()
    without: tuple[Variant, ...] = ()


@dataclass(frozen=True, eq=False)
class Analyzed:
    """The analysis, and the values of each feature map (of both sides of zero together), for plots."""

    analysis: Analysis
    sides: Mapping[str, Side]


@dataclass(frozen=True, eq=False)
class Measurement:
    """A float network, what calibration saw, and the samples that quantized networks are compared on."""

    graph: Graph
    calibration: Calibration
    held_out: DataSet

    @cached_property
    def logits_name(self) -> str:
        """The node whose SQNR stands for the first output: for a softmax what it reads."""
        node = self.graph.by_name[self.graph.outputs[0]]
        return node.inputs[0] if node.operator.reads_wide else node.name

    @cached_property
    def float_logits(self) -> Array:
        """(N, ...)"""
        kept: list[Array] = []
        for batch in self.held_out.batches():
            self.graph.run(batch, lambda node, value: _keep(kept, node, value, self.logits_name))
        return np.concatenate(kept)

    def logits(self, network: QuantizedGraph) -> Array:
        """The same of a quantized network, in real units."""
        kept: list[Array] = []
        for batch in self.held_out.batches():
            inputs = network.quantize_inputs(batch)
            network.run(inputs, lambda node, value: _keep(kept, node, value, self.logits_name))
        form = network.by_name[self.logits_name].format
        return form.dequantize(np.concatenate(kept))

    def variant(self, name: str, options: Options) -> Variant:
        """The network that ``options`` give."""
        return self.judged(name, self.logits(quantize(self.graph, self.calibration, options)))

    def judged(self, name: str, logits: Array) -> Variant:
        """How near the logits (N, ...) of some implementation are to those of the float network."""
        real = self.float_logits.astype(np.float64)
        noise = float(total(np.square(logits - real)))
        quality = 10 * float(log10(total(np.square(real)) / noise)) if noise else np.inf
        agreement = float(np.mean(self._classes(logits) == self._classes(real)))
        return Variant(name, float(quality), self._accuracy(logits), agreement)

    @property
    def float_accuracy(self) -> float | None:
        """Of the float network; None without labels."""
        return self._accuracy(self.float_logits)

    def _classes(self, logits: Array) -> Array:
        return classes_of(logits, boundary(self.graph, self.logits_name))

    def _accuracy(self, logits: Array) -> float | None:
        if self.held_out.labels is None:
            return None
        return float(np.mean(self._classes(logits) == classes_of_labels(self.held_out.labels, logits.shape[1:])))


def _keep(kept: list[Array], node: Node | QuantizedNode, value: Array, wanted: str) -> Array:
    if node.name == wanted:
        kept.append(value)
    return value


@one_thread
def analyze(
    model: Path,
    data: Path,
    bits: tuple[int, ...] = (4, 6, 8),
    count: int = 200,
    progress: Progress = SILENT,
    shapes: InputShapes | None = None,
) -> Analyzed:
    """Calibrates on the first ``count`` samples; compares on those behind them, or on the same if there are no more.

    ``shapes``: sizes of inputs that the model leaves open, by name.
    """
    if not bits or not all(2 <= b <= 16 for b in bits):
        raise GgdqError("bit lengths are 2 to 16", f"bits {','.join(map(str, bits))}")
    graph = optimize(load(model, input_shapes=shapes))
    samples = load_data(data, graph)
    progress.step("calibrating")
    calibration = calibrate(graph, samples.first(count))
    few = {name: x[:_KEPT] for name, x in calibration.samples.items()}
    rest = samples.slice(count, count + _HELD_OUT) if len(samples) > count else samples.first(_HELD_OUT)
    measurement = Measurement(graph, replace(calibration, samples=few), rest)
    progress.step("fitting")
    layers = tuple(analyze_layers(graph, calibration, bits))
    best = quantize(graph, measurement.calibration)
    default = compare(graph, best, rest)
    variants = [(f"{b} bits", Options(bits=b, weight_bits=min(b, 8) if b < 8 else b)) for b in bits]
    groups: dict[str, list[tuple[str, Options]]] = {
        "bits": variants,
        "schemes": [(name, Options(scheme=name)) for name in SCHEMES],
        "without": [("nothing", Options()), *((name, without(name)) for name in switches())],
    }
    done: dict[str, tuple[Variant, ...]] = {}
    total, number = sum(map(len, groups.values())), 0
    for group, members in groups.items():
        found = []
        for name, options in members:
            progress.step(f"quantizing: {name}", number, total)
            found.append(measurement.variant(name, options))
            number += 1
        done[group] = tuple(found)
    progress.step("measuring tensors")
    tensors = tensor_costs(graph, measurement.calibration)
    by_layer = {quality.name: quality.sqnr_db for quality in default.layers}
    sides = {layer.name: calibration.distribution(layer.name).magnitude for layer in layers}
    return Analyzed(
        Analysis(
            graph.name, min(count, len(samples)), len(rest), default.float_accuracy, layers, by_layer, tensors, **done
        ),
        sides,
    )


def tensor_costs(graph: Graph, calibration: Calibration) -> tuple[TensorCost, ...]:
    """What other bit lengths than 8 cost and save, tensor by tensor; maps of fewer than 8 bits would save nothing."""
    found = measure(graph, calibration, Options(), (8, *_WEIGHT_BITS), (8, *_MAP_BITS))
    tensors = [(name, "weights", noises, _WEIGHT_BITS) for name, noises in found.weights.items()]
    tensors += [(name, "feature map", noises, _MAP_BITS) for name, noises in found.maps.items()]
    whole = max(sum(noises[8] for _, _, noises, _ in tensors), 1e-30)
    costs = []
    for name, kind, noises, lengths in tensors:
        values = graph.by_name[name].weights["kernel"].size if kind == "weights" else prod(graph.shapes[name])
        rest = whole - noises[8]
        lost = {bits: 10 * float(log10((rest + max(noises[bits], 1e-30)) / whole)) for bits in lengths}
        costs.append(TensorCost(name, kind, lost, {bits: values * (8 - bits) // 8 for bits in lengths}))
    return tuple(costs)


def switches() -> list[str]:
    """Names of the improvements that can be switched off."""
    return [option.name for option in fields(Options) if isinstance(option.default, bool)]


def without(switch: str) -> Options:
    """Everything but one improvement."""
    chosen: dict[str, Any] = {switch: False}
    return Options(**chosen)


def analyze_layers(graph: Graph, calibration: Calibration, bits: tuple[int, ...]) -> Iterator[Layer]:
    """Every feature map that has a step of its own."""
    for node in graph.nodes:
        calibrated = node.inputs and node.name in calibration.histograms
        if calibrated and node.operator.fixed_format([_ANY] * len(node.inputs), 8) is None:
            unsigned = never_negative(node, calibration)
            distribution = calibration.distribution(node.name)
            density = ggd.fit(distribution.positive if unsigned else distribution.magnitude)
            fit = Fit(*(float(part[0]) for part in (density.k, density.c, density.s)))
            steps: dict[int, dict[str, float]] = {}
            quality: dict[int, dict[str, float]] = {}
            for b in bits:
                levels = Levels.of(b, not unsigned)
                steps[b] = {name: s.step(distribution, b, not unsigned) for name, s in SCHEMES.items()}
                found = sqnr_db(distribution, np.array([list(steps[b].values())]), levels)[0]
                quality[b] = dict(zip(steps[b], map(float, found), strict=True))
            zeros = float(distribution.zeros[0] / max(distribution.samples[0], 1))
            yield Layer(node.name, unsigned, zeros, fit, steps, quality)
