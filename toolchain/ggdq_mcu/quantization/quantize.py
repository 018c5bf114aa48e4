"""How does a float network become integers? Layer by layer, each on the outputs of those that are integers already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.operators._recurrent import Recurrent
from ggdq_mcu.operators.input import INTEGERS, Input
from ggdq_mcu.quantization.bit_lengths import activation_bits
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.channel_steps import (
    ROOMY,
    choose_profiles,
    limited,
    never_negative,
    profile_groups,
    roomy,
    tensor_step,
)
from ggdq_mcu.quantization.distortion import Levels
from ggdq_mcu.quantization.moments import Positions, some_positions
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.recurrent import quantize_recurrent
from ggdq_mcu.quantization.schemes import scheme
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
class _Work:
    """What is being quantized and how, and what is known of the nodes done so far."""

    graph: Graph
    calibration: Calibration
    options: Options
    profiles: Mapping[str, Array]
    stretchable: frozenset[str]
    formats: dict[str, Format] = field(default_factory=dict)
    values: dict[str, _Samples] = field(default_factory=dict)

    def sources(self, node: Node) -> list[Format]:
        return [self.formats[name] for name in node.inputs]


@one_thread
def quantize(
    graph: Graph,
    calibration: Calibration,
    options: Options | None = None,
    profiles: Mapping[str, Array] | None = None,
) -> QuantizedGraph:
    """Integers for every node of an optimized graph; GgdqError with the layer's name where that is not possible.

    ``profiles``: what ``choose_profiles`` gives, for several networks whose options differ in nothing that it looks at.
    """
    options = options or Options()
    if profiles is None:
        profiles = choose_profiles(graph, calibration, options) if options.channel_steps else {}
    work = _Work(graph, calibration, options, profiles, _alone(graph) if options.channel_steps else frozenset())
    nodes: list[QuantizedNode] = []
    for node in graph.nodes:
        try:
            nodes.append(_quantized(work, node))
        except GgdqError as error:
            raise GgdqError(error.what, error.where or f"layer {node.name!r}", error.fix) from error
    return QuantizedGraph(graph.name, tuple(nodes), graph.outputs)


def _alone(graph: Graph) -> frozenset[str]:
    """Nodes whose channel steps concern no other node's format."""
    alone = []
    for group in profile_groups(graph):
        own = [name for name in group if not graph.by_name[name].operator.keeps_format]
        if len(own) == 1:
            alone.append(own[0])
    return frozenset(alone)


def _quantized(work: _Work, node: Node) -> QuantizedNode:
    output = _format(work, node)
    sampled = bool(work.calibration.samples)
    if isinstance(node.operator, Linear):
        wanted = _wanted(work, node) if sampled else None
        stretchable = node.name in work.stretchable and output.per_channel
        channels = work.calibration.channels(node.name) if stretchable else None
        positions = None if wanted is None else _positions(work, node, wanted)
        constants, output = quantize_linear(
            node, work.formats[node.inputs[0]], output, work.options, positions, channels
        )
        real = None if wanted is None else _clipped(work, node, wanted)
    else:
        constants = _constants(work, node, output) if node.inputs else {}
        real = _real(work, node) if sampled else None
    work.formats[node.name] = output
    quantized = QuantizedNode(node.name, node.operator, node.inputs, output, constants)
    if real is not None:
        _advance(work, node, quantized, real)
    return quantized


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
    parts = [operator.accumulate(image[i : i + _BATCH], kernel, outside) + bias for i in range(0, len(image), _BATCH)]
    return np.concatenate(parts)


def _positions(work: _Work, node: Node, wanted: Array) -> Positions:
    operator, quantized, source = node.operator, work.values[node.inputs[0]].quantized, work.formats[node.inputs[0]]
    assert isinstance(operator, Linear)
    outside = operator.padding_integer(source) - source.zero_point
    return some_positions(operator, quantized, wanted, source.zero_point, outside)


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


def _format(work: _Work, node: Node) -> Format:
    graph, calibration, options = work.graph, work.calibration, work.options
    sources = work.sources(node)
    if not sources:
        return _input_format(work, node)
    if node.operator.keeps_format:
        return _carried(graph, node, sources[0])
    bits = activation_bits(graph, node, options)
    fixed = node.operator.fixed_format(sources, bits)
    if fixed is not None:
        return fixed
    shapes = [graph.shapes[name] for name in node.inputs]
    moved = node.operator.moved_format(sources, shapes) if node.name in work.stretchable else None
    if moved is not None:
        return moved
    if node.name in work.profiles:
        unsigned = bits <= 8 and never_negative(node, calibration)
        tied = node.name not in work.stretchable
        step = tensor_step(node, work.profiles[node.name], bits, calibration, options, tied)
        return Format(bits, not unsigned, step)
    return _tensor_format(node, calibration, bits, options)


def _input_format(work: _Work, node: Node) -> Format:
    options = work.options
    if node.name in options.input_formats:
        return options.input_formats[node.name]
    whole = _whole_numbers(work.graph, node)
    if whole is not None:
        return whole
    bits = activation_bits(work.graph, node, options)
    padded = list(_padded_with(work.graph, node.name))
    # Pixels are 0..255 already: no step could be better than 1.
    if node.name in work.calibration.pixels and bits == 8:
        return _holding(Format(8, False, 1.0), padded)
    return _holding(_tensor_format(node, work.calibration, bits, options), padded)


def _padded_with(graph: Graph, name: str) -> Iterator[float]:
    """Values other than 0 that linear layers put around the input ``name``."""
    for reader in graph.consumers(name):
        if reader.operator.keeps_format:
            yield from _padded_with(graph, reader.name)
        elif isinstance(reader.operator, Linear) and reader.operator.padding_value:
            yield reader.operator.padding_value


def _holding(format_: Format, values: list[float]) -> Format:
    """The format, or where it cannot hold all of the values, a signed one that spans both."""
    low, high = (float(format_.dequantize(np.array(q))) for q in (format_.low, format_.high))
    if all(
        abs(float(format_.dequantize(format_.quantize(np.array(value)))) - value) <= format_.mean_step
        for value in values
    ):
        return format_
    low, high = min(low, *values, 0.0), max(high, *values, 0.0)
    step = (high - low) / ((1 << format_.bits) - 1)
    return Format(format_.bits, True, step, -(1 << (format_.bits - 1)) - round(low / step))


def _whole_numbers(graph: Graph, node: Node) -> Format | None:
    """The format of an input that takes integers as they are: of a type that the model names, or indices."""
    assert isinstance(node.operator, Input)
    if node.operator.integers:
        return Format(*INTEGERS[node.operator.integers], 1.0)
    indices = max((reader.operator.indices for reader in graph.consumers(node.name)), default=0)
    if not indices:
        return None
    return Format(8, False, 1.0) if indices <= 256 else Format(16, True, 1.0)


def _tensor_format(node: Node, calibration: Calibration, bits: int, options: Options) -> Format:
    chosen = scheme(options.scheme)
    signed, zero_point = bits > 8, 0
    if signed or never_negative(node, calibration):
        step = calibration.step(node.name, chosen, bits, signed)
    else:
        signed = True
        step, zero_point = calibration.signed_format(node.name, bits, chosen)
    if options.headroom and bits < ROOMY:
        step = calibration.widened(node.name, step, Levels.of(bits, signed, zero_point))
    step = float(limited(node, np.asarray(roomy(step, bits)), bits))
    return Format(bits, signed, step, zero_point)


def _carried(graph: Graph, node: Node, source: Format) -> Format:
    if not source.per_channel:
        return source
    step = node.operator.carry_step(np.asarray(source.step), [graph.shapes[node.inputs[0]]])
    if step is None:
        raise GgdqError("channel steps do not carry over")
    return replace(source, step=step)
