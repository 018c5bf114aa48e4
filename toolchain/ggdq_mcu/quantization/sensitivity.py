"""How much noise at the outputs does each tensor cause on its own, at each bit length?

Noise of different tensors adds up at a network's output as long as it is small (Zhou et al., Adaptive quantization for deep
neural network, AAAI 2018, arXiv:1712.01048). So the noise of one tensor that is quantized, all else in float, tells what
its bits are worth in any assignment. The float network runs on from the tensor alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph
from ggdq_mcu.numerics.sums import mean, total
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.moments import some_positions
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.quantization.weights import quantize_linear
from ggdq_mcu.threads import one_thread

Array = NDArray[Any]
_SAMPLES = 32
_MOST_VALUES = 1 << 25  # of all feature maps on the samples together
_ANY = Format(8, True, 1.0)


@dataclass(frozen=True)
class Sensitivity:
    """Noise power at the outputs relative to the signal's, by node name and bits: of its weights, of its feature map.

    ``maps`` has what has a format of its own between inputs and outputs; ``wide`` are those that ``wide_logits`` keeps.
    """

    weights: Mapping[str, Mapping[int, float]]
    maps: Mapping[str, Mapping[int, float]]


def own_formats(graph: Graph, calibration: Calibration) -> list[str]:
    """The feature maps between inputs and outputs whose bit length can be chosen."""
    return [
        node.name
        for node in graph.nodes
        if node.inputs
        and node.name not in graph.outputs
        and node.name in calibration.histograms
        and node.operator.fixed_format([_ANY] * len(node.inputs), 8) is None
        and not any(reader.operator.reads_wide for reader in graph.consumers(node.name))
    ]


def with_bits(options: Options, weights: Mapping[str, int], maps: Mapping[str, int]) -> Options:
    """The options with these bit lengths."""
    return replace(options, layer_weight_bits=dict(weights), layer_bits=dict(maps))


def sketch(graph: Graph, calibration: Calibration, options: Options) -> QuantizedGraph:
    """The quantized network with the formats of ``options`` and weights rounded to nearest: what it takes, soon known."""
    return quantize(graph, replace(calibration, samples={}), replace(options, channel_steps=False))


@one_thread
def measure(
    graph: Graph,
    calibration: Calibration,
    options: Options,
    weight_bits: Sequence[int],
    map_bits: Sequence[int],
) -> Sensitivity:
    """Runs the float network once for every tensor and bit length, from that tensor on, on a few of the samples."""
    run = _Run.of(graph, calibration)
    names = own_formats(graph, calibration)
    maps: dict[str, dict[int, float]] = {name: {} for name in names}
    for bits in map_bits:
        formats = sketch(graph, calibration, with_bits(options, {}, dict.fromkeys(names, bits))).by_name
        for name in names:
            form = formats[name].format
            maps[name][bits] = run.noise(name, form.dequantize(form.quantize(run.values[name])))
    plain = sketch(graph, calibration, with_bits(options, {}, dict.fromkeys(names, 8))).by_name
    weights: dict[str, dict[int, float]] = {}
    for node in graph.nodes:
        if isinstance(node.operator, Linear):
            source, output = plain[node.inputs[0]].format, plain[node.name].format
            weights[node.name] = {
                bits: run.noise(node.name, run.rounded(node, source, output, replace(options, weight_bits=bits)))
                for bits in weight_bits
            }
    return Sensitivity(weights, maps)


@dataclass(frozen=True, eq=False)
class _Run:
    """The float network and the value of each of its nodes on some samples."""

    graph: Graph
    values: Mapping[str, Array]
    ends: tuple[str, ...]

    @classmethod
    def of(cls, graph: Graph, calibration: Calibration) -> _Run:
        size = sum(prod(shape) for shape in graph.shapes.values())
        count = max(1, min(_SAMPLES, _MOST_VALUES // max(size, 1)))
        values: dict[str, Array] = {}

        def keep(node: Node, value: Array) -> Array:
            values[node.name] = value
            return value

        graph.run({name: x[:count] for name, x in calibration.samples.items()}, keep)
        ends = tuple(
            graph.by_name[name].inputs[0] if graph.by_name[name].operator.reads_wide else name for name in graph.outputs
        )
        return cls(graph, values, ends)

    def noise(self, name: str, value: Array) -> float:
        """Noise at the outputs (before a softmax) where the node has another value, relative to their power."""
        changed = {name: np.asarray(value, np.float32)}
        for node in self.graph.nodes:
            if node.name != name and any(source in changed for source in node.inputs):
                sources = [changed.get(source, self.values[source]) for source in node.inputs]
                changed[node.name] = node.operator.compute(sources, node.weights)
        noise = 0.0
        for end in self.ends:
            real = self.values[end].astype(np.float64)
            error = changed.get(end, self.values[end]) - real
            noise += float(total(error * error)) / max(float(total(real * real)), 1e-30)
        return noise / len(self.ends)

    def rounded(self, node: Node, source: Format, output: Format, options: Options) -> Array:
        """The node's value where only its weights are quantized, as the layer's integers are chosen."""
        operator = node.operator
        assert isinstance(operator, Linear)
        image = self.values[node.inputs[0]]
        kernel = np.asarray(node.weights["kernel"], np.float32)
        wanted = operator.sums(image, kernel, 0.0) + np.float32(0) + node.weights.get("bias", 0)
        positions = some_positions(operator, source.quantize(image), wanted, source.zero_point)
        chosen = replace(options, compensation=False, fit_range=False, bias_correction=True, layer_weight_bits={})
        constants, output = quantize_linear(node, source, output, chosen, positions, None)
        made = operator.output_step(kernel, np.ldexp(1.0, -constants["shift"]) * np.asarray(output.step))
        real = constants["kernel"] * made / operator.input_step(kernel, np.asarray(source.step))
        value = operator.sums(image, real.astype(np.float32), 0.0)
        error = mean((wanted - value).reshape(-1, wanted.shape[-1]), 0)
        return operator.clip(value + error)
