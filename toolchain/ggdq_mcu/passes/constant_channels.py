"""Which channels of an integer network never change, or are never read? They are removed; the outputs stay the same.

Interval bounds go through the integer network: a channel whose smallest and largest possible value are equal is constant for
every input. Its value goes into the bias of the layers that read it. A padded layer sees the padding at its border, not
the constant, and takes it over only where both are equal. Then weights, products and memory of a removed channel are gone.

With samples, channels that are constant on all of them go too: no proof, and an input unlike them may be computed otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.bounds import Bounds
from ggdq_mcu.graph.graph import execute
from ggdq_mcu.operators.shared.linear import Linear

Array = NDArray[Any]
_ALIGNED = 4  # kernels take this many channels at once: a removal never leaves a number that is not a multiple
_BATCH = 8  # samples computed at a time


def remove_constant_channels(network: QuantizedGraph, samples: Mapping[str, Array] | None = None) -> QuantizedGraph:
    """The network without channels that are constant or not read; its outputs are equal for every input.

    Given ``samples`` (N, ...), integers by input name, channels of linear layers that are constant on these count as
    constant: the outputs are equal for these samples. Only for networks in this project's own arithmetic, not for those
    that keep another's.
    """
    network = _with_constants_in_biases(network, _observed(network, samples) if samples else {})
    needed = _needed(network)
    if all(channels.all() for channels in needed.values()):
        return network
    kept = {name: np.flatnonzero(channels) for name, channels in needed.items()}
    return replace(network, nodes=tuple(_reduced(network, node, kept) for node in network.nodes))


def _observed(network: QuantizedGraph, samples: Mapping[str, Array]) -> dict[str, Bounds]:
    """Smallest and largest integer (1, ...) of each element of the linear layers' outputs on the samples."""
    found: dict[str, Bounds] = {}

    def seen(node: QuantizedNode, value: Array) -> Array:
        if isinstance(node.operator, Linear):
            own = Bounds(value.min(axis=0, keepdims=True), value.max(axis=0, keepdims=True))
            known = found.get(node.name, own)
            found[node.name] = Bounds(np.minimum(known.low, own.low), np.maximum(known.high, own.high))
        return value

    count = len(next(iter(samples.values())))
    for begin in range(0, count, _BATCH):
        network.run({name: x[begin : begin + _BATCH] for name, x in samples.items()}, seen)
    return found


def _with_constants_in_biases(network: QuantizedGraph, observed: Mapping[str, Bounds]) -> QuantizedGraph:
    """The same network, where constant channels have no weights, neither their own nor in the layers that read them.

    Channels that are constant in ``observed`` count as constant, by the linear layer's name.
    """
    nodes: list[QuantizedNode] = []

    def step(node: QuantizedNode, sources: list[Bounds]) -> Bounds:
        formats, shapes = network.input_formats(node), network.input_shapes(node)
        if isinstance(node.operator, Linear):
            node = _without_constant_inputs(node, node.operator, sources[0].constant_channels(), formats[0])
        found = node.operator.bounds(sources, node.constants, formats, node.format, shapes)
        if isinstance(node.operator, Linear):
            constants = observed.get(node.name, found).constant_channels()
            node = _without_constant_outputs(node, node.operator, constants)
            fixed = ~np.isnan(constants)
            low, high = (np.where(fixed, constants, end).astype(end.dtype) for end in found)
            found = Bounds(low, high)
        nodes.append(node)
        return found

    whole = {name: Bounds.of(network.by_name[name].format, network.shapes[name]) for name in network.inputs}
    execute(network, step, whole)
    rewritten = {node.name: node for node in nodes}
    return replace(network, nodes=tuple(rewritten.get(node.name, node) for node in network.nodes))


def _without_constant_inputs(node: QuantizedNode, operator: Linear, values: Array, source: Format) -> QuantizedNode:
    """The linear node with constant input channels in its bias; ``values`` (C,), NaN where a channel is not constant."""
    if not operator.mixes_channels:
        return node
    constant = ~np.isnan(values)
    if any(getattr(operator, "padding", ())):
        constant &= values == operator.padding_integer(source)
    if not constant.any():
        return node
    kernel = node.constants["kernel"].astype(np.int64)
    taps = (kernel * np.where(constant, values, 0).astype(np.int64)[:, None]).reshape(-1, kernel.shape[-1])
    left = np.where(constant[:, None], 0, node.constants["kernel"]).astype(node.constants["kernel"].dtype)
    return replace(
        node, constants={**node.constants, "kernel": left, "bias": node.constants["bias"] + taps.sum(axis=0)}
    )


def _without_constant_outputs(node: QuantizedNode, operator: Linear, values: Array) -> QuantizedNode:
    """The linear node whose constant output channels are their bias alone."""
    constant = ~np.isnan(values)
    if not constant.any():
        return node
    matrices = operator.by_output(node.constants["kernel"])
    zeroed = np.where(constant, 0, matrices).astype(matrices.dtype)
    groups = operator.grouped(node.constants["kernel"]).shape[0]
    kernel = operator.ungrouped(zeroed.reshape(len(zeroed), groups, -1).transpose(1, 0, 2))
    fixed = np.where(constant, values, 0).astype(np.int64) << node.constants["shift"]
    bias = np.where(constant, fixed, node.constants["bias"])
    return replace(node, constants={**node.constants, "kernel": np.ascontiguousarray(kernel), "bias": bias})


def _needed(network: QuantizedGraph) -> dict[str, Array]:
    """Which channels (C,) of each tensor have to be computed."""
    needed = {name: np.zeros(shape[-1] if shape else 1, bool) for name, shape in network.shapes.items()}
    for name in (*network.outputs, *network.inputs):
        needed[name][:] = True
    _spread(network, needed)
    for channels in needed.values():
        wanted = min(max(-(-int(channels.sum()) // _ALIGNED), 1) * _ALIGNED, len(channels))
        spare = np.flatnonzero(~channels)[: wanted - int(channels.sum())]
        channels[spare] = True
    _spread(network, needed)
    return needed


def _spread(network: QuantizedGraph, needed: dict[str, Array]) -> None:
    """Marks all channels that those marked already need, or that are computed together with them."""
    marked = -1
    while marked != (marked := sum(int(channels.sum()) for channels in needed.values())):
        for node in reversed(network.nodes):
            _mark_inputs(network, node, needed)


def _mark_inputs(network: QuantizedGraph, node: QuantizedNode, needed: dict[str, Array]) -> None:
    operator, output = node.operator, needed[node.name]
    sources = operator.channel_sources(network.input_shapes(node))
    if isinstance(operator, Linear) and operator.mixes_channels:
        kernel = node.constants["kernel"]
        needed[node.inputs[0]] |= (kernel.reshape(-1, *kernel.shape[-2:]) != 0).any(axis=0)[:, output].any(axis=1)
    elif sources is not None:
        for name, channels in zip(node.inputs, sources, strict=True):
            there = channels >= 0
            needed[name][channels[there & output]] = True
            output[there] |= needed[name][channels[there]]
    else:
        output[:] = True
        for name in node.inputs:
            needed[name][:] = True


def _reduced(network: QuantizedGraph, node: QuantizedNode, kept: Mapping[str, Array]) -> QuantizedNode:
    """The node for the channels that are left."""
    channels = kept[node.name]
    if not node.inputs or all(len(kept[name]) == _channels(network, name) for name in (*node.inputs, node.name)):
        return node
    inputs = [kept[name] for name in node.inputs]
    operator, constants = node.operator.with_channels(node.constants, inputs, channels, network.input_shapes(node))
    format_ = node.format
    if format_.per_channel:
        format_ = replace(format_, step=np.asarray(format_.step)[channels])
    left = None if len(channels) == _channels(network, node.name) else channels
    return replace(node, operator=operator, constants=constants, format=format_, channels=left)


def _channels(network: QuantizedGraph, name: str) -> int:
    return network.shapes[name][-1] if network.shapes[name] else 1
