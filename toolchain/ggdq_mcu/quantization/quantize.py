"""How does a float network become integers? Layer by layer, each on the outputs of those that are integers already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.operators.shared.recurrent import Recurrent
from ggdq_mcu.passes.constant_channels import remove_constant_channels
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.channel_steps import choose_profiles
from ggdq_mcu.quantization.clip_weight import clip_weight
from ggdq_mcu.quantization.formats import FormatChoice
from ggdq_mcu.quantization.headroom import Expected
from ggdq_mcu.quantization.inputs import absorbed
from ggdq_mcu.quantization.moments import Positions, some_positions
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.recurrent import quantize_recurrent
from ggdq_mcu.quantization.weights import quantize_linear
from ggdq_mcu.threads import one_thread

Array = NDArray[Any]
_BATCH = 8  # samples computed at a time: what a layer needs in between stays in the cache


@dataclass(frozen=True, eq=False)
class _Samples:
    """A node's value on the kept samples, in float and in integers (N, ...)."""

    real: Array
    quantized: Array


@dataclass(frozen=True, eq=False)
class _Work(FormatChoice):
    """What is being quantized and how, and what is known of the nodes done so far."""

    formats: dict[str, Format] = field(default_factory=dict)
    values: dict[str, _Samples] = field(default_factory=dict)

    def sources(self, node: Node) -> list[Format]:
        return [self.formats[name] for name in node.inputs]


@one_thread
def quantize(graph: Graph, calibration: Calibration, options: Options | None = None) -> QuantizedGraph:
    """Integers for every node of an optimized graph; GgdqError with the layer's name where that is not possible.

    Channels that are proved constant, or that nothing reads, are left out (``passes.constant_channels``), with
    ``options.prune_dead`` also those that are constant on the calibration samples.
    """
    options = options or Options()
    network = _integers(graph, calibration, options)
    if not options.prune_dead:
        return remove_constant_channels(network)
    if calibration.drawn or not calibration.samples:
        raise GgdqError("needs calibration samples", "--prune-dead", "give samples with --calib, or leave it out")
    return remove_constant_channels(network, network.quantize_inputs(calibration.samples))


def _integers(graph: Graph, calibration: Calibration, options: Options) -> QuantizedGraph:
    """Integers for every node, all channels."""
    profiles = choose_profiles(graph, calibration, options) if options.channel_steps else {}
    weight = clip_weight(graph, calibration) if options.headroom else 1.0
    work = _Work(graph, calibration, options, profiles, weight)
    nodes: list[QuantizedNode] = []
    for node in graph.nodes:
        try:
            nodes.append(_quantized(work, node))
        except GgdqError as error:
            raise GgdqError(error.what, error.where or f"layer {node.name!r}", error.fix) from error
    return QuantizedGraph(graph.name, tuple(nodes), graph.outputs)


def _quantized(work: _Work, node: Node) -> QuantizedNode:
    output = work.format_of(node, work.sources(node))
    sampled = bool(work.calibration.samples)
    if isinstance(node.operator, Linear):
        wanted = _wanted(work, node) if sampled else None
        stretchable = node.name in work.stretchable and output.per_channel
        channels = _expected(work, node) if stretchable else None
        positions = None if wanted is None else _positions(work, node, wanted)
        own, source = absorbed(node, work.formats[node.inputs[0]])
        constants, output = quantize_linear(own, source, output, work.options, positions, channels)
        real = None if wanted is None else _clipped(work, node, wanted)
    else:
        constants = _constants(work, node, output) if node.inputs else {}
        real = _real(work, node) if sampled else None
    work.formats[node.name] = output
    quantized = QuantizedNode(node.name, node.operator, node.inputs, output, constants)
    if real is not None:
        _advance(work, node, quantized, real)
    return quantized


def _expected(work: _Work, node: Node) -> Expected:
    """What the channels of the node's value are like, on new samples where there is headroom."""
    seen = work.calibration.channels(node.name)
    return (
        Expected(seen, work.calibration.peaks.get(node.name), work.clip_weight)
        if work.options.headroom
        else Expected(seen)
    )


def _constants(work: _Work, node: Node, output: Format) -> dict[str, Array]:
    if isinstance(node.operator, Recurrent) and work.calibration.samples:
        values = work.values[node.inputs[0]]
        source = work.formats[node.inputs[0]]
        return quantize_recurrent(node, source, output, work.options, values.real, values.quantized)
    shapes = [work.graph.shapes[name] for name in node.inputs]
    return node.operator.lower(node.weights, work.sources(node), output, shapes)


def _wanted(work: _Work, node: Node) -> Array:
    """The layer's sums on the kept samples, real numbers without clip."""
    operator = node.operator
    assert isinstance(operator, Linear)
    kernel, bias = np.asarray(node.weights["kernel"], np.float32), np.float32(0) + node.weights.get("bias", 0)
    image, outside = work.values[node.inputs[0]].real, operator.padding_value
    parts = [operator.sums(image[i : i + _BATCH], kernel, outside) + bias for i in range(0, len(image), _BATCH)]
    return np.concatenate(parts)


def _positions(work: _Work, node: Node, wanted: Array) -> Positions:
    operator, quantized, source = node.operator, work.values[node.inputs[0]].quantized, work.formats[node.inputs[0]]
    assert isinstance(operator, Linear)
    outside = operator.padding_integer(source) - source.zero_point
    found = some_positions(operator, quantized, wanted, source.zero_point, outside)
    return replace(found, drawn=work.calibration.drawn)


def _clipped(work: _Work, node: Node, wanted: Array) -> Array:
    adjustment = work.calibration.adjustments.get(node.name)
    return node.operator.clip(wanted) if adjustment is None else adjustment.apply(node, wanted)


def _real(work: _Work, node: Node) -> Array:
    if not node.inputs:
        return work.calibration.samples[node.name]
    return node.operator.compute([work.values[name].real for name in node.inputs], node.weights)


def _advance(work: _Work, node: Node, quantized: QuantizedNode, real: Array) -> None:
    """Add the node's value on the kept samples, and forget the values that no later node reads.

    Drawn feature maps are no network's: there every layer gets the quantized values of the map before it, not what the
    integers make of them.
    """
    if node.inputs and not work.calibration.drawn:
        integers, sources = [work.values[name].quantized for name in node.inputs], work.sources(node)
        parts = [
            node.operator.compute_integer(
                [q[i : i + _BATCH] for q in integers], quantized.constants, sources, quantized.format
            )
            for i in range(0, len(real), _BATCH)
        ]
        work.values[node.name] = _Samples(real, np.concatenate(parts))
    else:
        work.values[node.name] = _Samples(real, quantized.format.quantize(real))
    position = work.graph.nodes.index(node)
    for name in list(work.values):
        if not any(name in later.inputs for later in work.graph.nodes[position + 1 :]):
            del work.values[name]
