"""How does a float network become integers? Formats from the calibration, then integer weights for these formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.fraction_length import optimal_fraction_length
from ggdq_mcu.quantization.schemes import choose_format, scheme


@dataclass(frozen=True)
class Options:
    """What a user may choose: the scheme of the steps, bit lengths, and given input formats by input name."""

    scheme: str = "ggd-tuned"
    bits: int = 8
    weight_bits: int = 8
    per_channel: bool = True
    input_formats: Mapping[str, Format] | None = None


def quantize(graph: Graph, calibration: Calibration, options: Options | None = None) -> QuantizedGraph:
    """Integers for every node of an optimized graph."""
    options = options or Options()
    formats = choose_formats(graph, calibration, options)
    nodes = tuple(
        QuantizedNode(node.name, node.operator, node.inputs, formats[node.name], _constants(graph, node, formats, options))
        for node in graph.nodes
    )
    return QuantizedGraph(graph.name, nodes, graph.outputs)


def choose_formats(graph: Graph, calibration: Calibration, options: Options) -> dict[str, Format]:
    """The format of every node's value."""
    formats: dict[str, Format] = {}
    for node in graph.nodes:
        sources = [formats[name] for name in node.inputs]
        if node.operator.keeps_format:
            formats[node.name] = _carried(graph, node, sources[0])
            continue
        fixed = node.operator.fixed_format(sources, options.bits) if sources else _given_input(node, calibration, options)
        formats[node.name] = fixed or _calibrated(node, calibration, options)
    return formats


def _carried(graph: Graph, node: Node, source: Format) -> Format:
    if not source.per_channel:
        return source
    step = node.operator.carry_step(np.asarray(source.step), [graph.shapes[node.inputs[0]]])
    if step is None:
        raise GgdqError("channel steps do not carry over", f"layer {node.name!r}")
    return replace(source, step=step)


def _given_input(node: Node, calibration: Calibration, options: Options) -> Format | None:
    given = (options.input_formats or {}).get(node.name)
    if given is not None:
        return given
    # Pixels are 0..255 already: no step could be better than 1.
    return Format(8, False, 1.0) if node.name in calibration.pixels and options.bits == 8 else None


def _calibrated(node: Node, calibration: Calibration, options: Options) -> Format:
    histogram = calibration.histograms[node.name]
    chosen = scheme(options.scheme)
    if options.bits > 8:
        step = chosen.step(histogram.distribution(), options.bits, True)
        return Format(options.bits, True, float(step))
    if node.operator.rectified or bool(np.all(histogram.minimum >= 0)):
        return Format(options.bits, False, float(chosen.step(histogram.distribution(), options.bits, False)))
    step, zero_point = choose_format(chosen, histogram.distribution(), options.bits)
    return Format(options.bits, True, float(step), int(zero_point))


def _constants(graph: Graph, node: Node, formats: Mapping[str, Format], options: Options) -> dict[str, Any]:
    if not node.inputs:
        return {}
    sources = [formats[name] for name in node.inputs]
    operator, output = node.operator, formats[node.name]
    try:
        if isinstance(operator, Linear):
            kernel, _ = operator.folded(node.weights, sources[0], output)
            columns = operator.by_output(kernel)
            shift = optimal_fraction_length(columns, options.weight_bits, per_channel=options.per_channel)
            return operator.integers(node.weights, sources[0], output, shift, options.weight_bits)
        return operator.lower(node.weights, sources, output, [graph.shapes[name] for name in node.inputs])
    except GgdqError as error:
        raise GgdqError(error.what, f"layer {node.name!r}", error.fix) from error
