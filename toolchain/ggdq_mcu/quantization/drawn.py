"""How could feature maps look, where there is no sample? Noise made to fit what BatchNormalization recorded.

Inputs are smooth noise, because neighbours in images and spectrograms are alike, louder in some samples than in others,
because real values have heavy tails. The network computes on from them; behind every linear layer whose mean and
deviation training recorded, each channel is shifted and scaled to these (the statistics that Cai et al., ZeroQ,
arXiv:2001.00281, synthesise inputs for by gradient descent).

How much samples differ in loudness is read from the network: deeper layers recorded other statistics where training saw
loud and quiet samples than where all were alike, so the right spread is the one that leaves least to shift and scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.numerics.functions import exp, log
from ggdq_mcu.numerics.noise import Noise
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.operators.shared.linear import Linear

Array = NDArray[Any]
_SAMPLES = 96
_LOUDNESS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)  # standard deviations of the logarithm of a sample's loudness
_OCTAVES = 4  # of the smooth noise; each has half the resolution of the one before it, and the same power


@dataclass(frozen=True, eq=False)
class Adjustment:
    """What brings a node's unclipped value to its statistics: scale * value + offset, by channel (C,)."""

    scale: Array
    offset: Array

    def apply(self, node: Node, value: Array) -> Array:
        """The adjusted value of the node, clipped, float32."""
        adjusted = value * self.scale.astype(np.float32) + self.offset.astype(np.float32)
        return node.operator.clip(adjusted)


def draw_inputs(graph: Graph, seed: int) -> dict[str, Array]:
    """Inputs (N, ...) by name, of the loudness and the mean and deviation that suit the normalised layers behind them."""
    if not any(node.statistics for node in graph.nodes):
        raise GgdqError(
            "no samples, and no BatchNormalization whose statistics could stand in for them",
            f"network {graph.name!r}",
            "give samples with --calib data.npz (array x), or the .keras file of a SavedModel or .tflite",
        )
    drawn = [_draw_inputs(graph, seed, loudness) for loudness in _LOUDNESS]
    return min(drawn, key=lambda inputs: _misfit(graph, inputs))


def adjusted_values(graph: Graph, inputs: Mapping[str, Array]) -> Iterator[tuple[Node, Array, Adjustment | None]]:
    """Every node with its value, behind its adjustment and clip, and the adjustment, where it has statistics."""
    last = {source: node.name for node in graph.nodes for source in node.inputs}
    values: dict[str, Array] = {}
    for node in graph.nodes:
        adjustment = None
        if not node.inputs:
            value = inputs[node.name]
        else:
            sources = [values[name] for name in node.inputs]
            value, adjustment = _adjusted(node, sources)
        values[node.name] = value
        yield node, value, adjustment
        for name in set(node.inputs):
            if last[name] == node.name:
                del values[name]


def _misfit(graph: Graph, inputs: Mapping[str, Array]) -> float:
    """How far the statistics of the normalised layers are from what training recorded, each behind adjusted ones.

    Squares of the mean's error in deviations and of the deviation's logarithm, averaged over channels, summed over layers.
    """
    misfit = 0.0
    for node, _, adjustment in adjusted_values(graph, inputs):
        if adjustment is not None and node.statistics is not None:
            active = adjustment.scale > 0
            scale, wanted = adjustment.scale[active], node.statistics.mean[active]
            error = ((wanted - adjustment.offset[active]) / scale - wanted) / node.statistics.deviation[active]
            misfit += float(total(log(scale) ** 2 + error**2)) / len(active)
    return misfit


def _adjusted(node: Node, sources: list[Array]) -> tuple[Array, Adjustment | None]:
    if node.statistics is None:
        return node.operator.compute(sources, node.weights), None
    value = replace(node.operator, low=-np.inf, high=np.inf).compute(sources, node.weights)
    mean, variance = moments(value)
    deviation = np.sqrt(variance)
    scale = node.statistics.deviation / np.maximum(deviation, 1e-6 * np.maximum(node.statistics.deviation, 1e-30))
    scale = np.where(deviation > 0, scale, 0.0)
    adjustment = Adjustment(scale, node.statistics.mean - scale * mean)
    return adjustment.apply(node, value), adjustment


def moments(values: Array) -> tuple[Array, Array]:
    """Mean and variance of the channels (C,) of values (..., C)."""
    rows = values.reshape(-1, values.shape[-1]).astype(np.float64)
    middle = total(rows, 0) / len(rows)
    return middle, total((rows - middle) ** 2, 0) / len(rows)


def _draw_inputs(graph: Graph, seed: int, loudness: float) -> dict[str, Array]:
    random = Noise(seed)
    return {name: _draw_input(graph, name, random, loudness) for name in graph.inputs}


def _draw_input(graph: Graph, name: str, random: Noise, loudness: float) -> Array:
    shape = graph.shapes[name]
    noise = _smooth_noise((_SAMPLES, *shape), random)
    noise *= exp(loudness * random.normal((_SAMPLES,) + (1,) * len(shape)))
    noise /= np.sqrt(moments(noise.reshape(-1, 1))[1])
    readers = [r for r in graph.consumers(name) if r.statistics is not None and isinstance(r.operator, Linear)]
    if not readers:
        return noise.astype(np.float32)
    reader = readers[0]
    assert reader.statistics is not None
    operator, kernel = reader.operator, np.asarray(reader.weights["kernel"], np.float32)
    assert isinstance(operator, Linear)
    sums = operator.sums(noise.astype(np.float32), kernel, 0.0)
    ones = operator.sums(np.ones((1, *shape), np.float32), kernel, 0.0)
    of_ones, squares = moments(ones)[0], moments(sums)[1]
    wanted = reader.statistics.mean - reader.weights.get("bias", 0.0)
    mean = float(total(of_ones * wanted) / max(total(of_ones**2), 1e-12))
    variance = float(total(squares * reader.statistics.deviation**2) / max(total(squares**2), 1e-12))
    return np.asarray(mean + np.sqrt(variance) * noise, np.float32)


def _smooth_noise(shape: tuple[int, ...], random: Noise) -> Array:
    """Noise (N, ..., C) with the same power in every octave of the axes between samples and channels."""
    result = np.zeros(shape)
    for octave in range(_OCTAVES):
        coarse = [-(-size // 2**octave) for size in shape[1:-1]]
        noise = random.normal((shape[0], *coarse, shape[-1]))
        for axis, size in enumerate(shape[1:-1], start=1):
            noise = np.take(noise, np.arange(size) // 2**octave, axis=axis)
        result += noise
    return result
