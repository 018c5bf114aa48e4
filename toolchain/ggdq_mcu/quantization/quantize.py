"""How does a float network become integers? Layer by layer, each on the outputs of those that are integers already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.channel_steps import choose_profiles, limited, profile_groups, tensor_step
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.schemes import scheme, signed_format
from ggdq_mcu.quantization.weights import Samples, quantize_linear

Array = NDArray[Any]


def quantize(graph: Graph, calibration: Calibration, options: Options | None = None) -> QuantizedGraph:
    """Integers for every node of an optimized graph."""
    options = options or Options()
    profiles = choose_profiles(graph, calibration, options) if options.channel_steps else {}
    free = _alone(graph) if options.channel_steps else frozenset()
    formats: dict[str, Format] = {}
    nodes: list[QuantizedNode] = []
    values: dict[str, Samples] = {}
    for node in graph.nodes:
        try:
            formats[node.name] = _format(graph, node, formats, profiles, calibration, options)
            constants, formats[node.name] = _constants(
                graph, node, formats, values, calibration, options, node.name in free
            )
        except GgdqError as error:
            raise GgdqError(error.what, error.where or f"layer {node.name!r}", error.fix) from error
        nodes.append(QuantizedNode(node.name, node.operator, node.inputs, formats[node.name], constants))
        if calibration.samples:
            _advance(graph, node, nodes[-1], formats, values, calibration)
    return QuantizedGraph(graph.name, tuple(nodes), graph.outputs)


def _alone(graph: Graph) -> frozenset[str]:
    """Linear nodes whose channel steps concern no other node's format."""
    alone = []
    for group in profile_groups(graph):
        own = [name for name in group if not graph.by_name[name].operator.keeps_format]
        if len(own) == 1 and isinstance(graph.by_name[own[0]].operator, Linear):
            alone.append(own[0])
    return frozenset(alone)


def _format(
    graph: Graph,
    node: Node,
    formats: Mapping[str, Format],
    profiles: Mapping[str, Array],
    calibration: Calibration,
    options: Options,
) -> Format:
    sources = [formats[name] for name in node.inputs]
    if not sources:
        return _input_format(node, calibration, options)
    if node.operator.keeps_format:
        return _carried(graph, node, sources[0])
    fixed = node.operator.fixed_format(sources, options.bits)
    if fixed is not None:
        return fixed
    if node.name in profiles:
        unsigned = options.bits <= 8 and _never_negative(node, calibration)
        return Format(options.bits, not unsigned, tensor_step(node, profiles[node.name], calibration, options))
    readers = graph.consumers(node.name)
    if (
        options.wide_logits
        and readers
        and node.name not in graph.outputs
        and all(r.operator.reads_wide for r in readers)
    ):
        return _tensor_format(node, calibration, replace(options, bits=16))
    return _tensor_format(node, calibration, options)


def _input_format(node: Node, calibration: Calibration, options: Options) -> Format:
    if node.name in options.input_formats:
        return options.input_formats[node.name]
    # Pixels are 0..255 already: no step could be better than 1.
    if node.name in calibration.pixels and options.bits == 8:
        return Format(8, False, 1.0)
    return _tensor_format(node, calibration, options)


def _never_negative(node: Node, calibration: Calibration) -> bool:
    return node.operator.rectified or bool(np.all(calibration.histograms[node.name].minimum >= 0))


def _tensor_format(node: Node, calibration: Calibration, options: Options) -> Format:
    distribution = calibration.histograms[node.name].distribution()
    chosen, bits = scheme(options.scheme), options.bits
    if bits > 8:
        return Format(bits, True, float(limited(node, np.asarray(chosen.step(distribution, bits, True)), options)))
    if _never_negative(node, calibration):
        return Format(bits, False, float(limited(node, np.asarray(chosen.step(distribution, bits)), options)))
    step, zero_point = signed_format(distribution, bits, chosen)
    return Format(bits, True, step, zero_point)


def _carried(graph: Graph, node: Node, source: Format) -> Format:
    if not source.per_channel:
        return source
    step = node.operator.carry_step(np.asarray(source.step), [graph.shapes[node.inputs[0]]])
    if step is None:
        raise GgdqError("channel steps do not carry over")
    return replace(source, step=step)


def _constants(
    graph: Graph,
    node: Node,
    formats: Mapping[str, Format],
    values: Mapping[str, Samples],
    calibration: Calibration,
    options: Options,
    free: bool,
) -> tuple[dict[str, Array], Format]:
    output = formats[node.name]
    if not node.inputs:
        return {}, output
    sources = [formats[name] for name in node.inputs]
    if isinstance(node.operator, Linear):
        stretchable = free and output.per_channel
        histogram = calibration.histograms[node.name] if stretchable else None
        return quantize_linear(node, sources[0], output, options, values.get(node.inputs[0]), histogram)
    return node.operator.lower(node.weights, sources, output, [graph.shapes[name] for name in node.inputs]), output


def _advance(
    graph: Graph,
    node: Node,
    quantized: QuantizedNode,
    formats: Mapping[str, Format],
    values: dict[str, Samples],
    calibration: Calibration,
) -> None:
    """Add the node's value on the kept samples, and forget the values that no later node reads."""
    if node.inputs:
        real = node.operator.compute([values[name].real for name in node.inputs], node.weights)
        integers = [values[name].quantized for name in node.inputs]
        sources = [formats[name] for name in node.inputs]
        whole = node.operator.compute_integer(integers, quantized.constants, sources, quantized.format)
        values[node.name] = Samples(real, whole)
    else:
        real = calibration.samples[node.name]
        values[node.name] = Samples(real, quantized.format.quantize(real))
    position = graph.nodes.index(node)
    for name in list(values):
        if not any(name in later.inputs for later in graph.nodes[position + 1 :]):
            del values[name]
