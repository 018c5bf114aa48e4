"""Which feature maps may have a step for each channel, and which steps should these be?

A channel's step can be folded into the weights that make it and the weights that read it, so it costs nothing at run
time (ReLU is positively homogeneous). Additions and pooling need inputs and outputs in proportion, so tensors that meet
there share one profile; where a tensor meets something that takes one step only, its profile is flat.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.numerics.functions import ceil_log2, exp, exp2, log
from ggdq_mcu.numerics.sums import mean, total
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.quantization.bit_lengths import activation_bits, weight_bits
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.distortion import Levels
from ggdq_mcu.quantization.headroom import Room, expected_errors
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.schemes import scheme

Array = NDArray[Any]
_EXPONENTS = (0.0, 0.25, 0.5, 0.75, 1.0)
_OCTAVES = np.linspace(-0.5, 1.0, 7)  # around the mean of the channels' steps, in search of the tensor's
_FEWEST_VALUES = 2000  # of a channel: with fewer its tail, which decides the step, is not known


def profile_groups(graph: Graph) -> list[list[str]]:
    """Names of the tensors that must share a profile, for every set of tensors that may have one that is not flat."""
    root = {node.name: node.name for node in graph.nodes}

    def find(name: str) -> str:
        while root[name] != name:
            name = root[name]
        return name

    barred: set[str] = set(graph.outputs) | set(graph.inputs)
    for node in graph.nodes:
        operator = node.operator
        tied = operator.keeps_format or operator.keeps_profile
        if tied and (operator.keeps_profile and not math.isinf(operator.high)):
            barred.add(node.name)
        if not (tied or operator.gives_channel_steps):
            barred.add(node.name)
        for source in node.inputs:
            if not operator.takes_channel_steps:
                barred.add(source)
            if tied:
                if operator.carry_step(np.ones(graph.shapes[source][-1]), [graph.shapes[source]]) is None:
                    barred.add(source)
                root[find(source)] = find(node.name)
    members: dict[str, list[str]] = {}
    for name in root:
        members.setdefault(find(name), []).append(name)
    return [group for group in members.values() if not barred.intersection(group)]


def choose_profiles(graph: Graph, calibration: Calibration, options: Options) -> Mapping[str, Array]:
    """Relative channel steps (C,), geometric mean 1, of every tensor of a group whose format is its own.

    They depend on the bit lengths and on ``headroom`` alone of all options, and are found once for a calibration.
    """
    layers = (tuple(sorted(one.items())) for one in (options.layer_bits, options.layer_weight_bits))
    key = "profiles", options.bits, options.weight_bits, options.wide_logits, options.headroom, *layers
    return calibration.remembered(key, lambda: _chosen(graph, calibration, options))


def _chosen(graph: Graph, calibration: Calibration, options: Options) -> Mapping[str, Array]:
    profiles: dict[str, Array] = {}
    for group in profile_groups(graph):
        own = [name for name in group if name in calibration.histograms]
        channels = {graph.shapes[name][-1] for name in own}
        fewest = min(int(calibration.histograms[name].samples.min()) for name in own)
        if len(channels) != 1 or channels == {1} or fewest < _FEWEST_VALUES:
            continue
        bits = {name: activation_bits(graph, graph.by_name[name], options) for name in own}
        logs = {name: log(_optimal_steps(graph.by_name[name], bits[name], calibration, options)) for name in own}
        direction = mean(np.stack([own - mean(own) for own in logs.values()]), 0)
        costs = [
            _cost(graph, {name: exp(mean(own) + e * direction) for name, own in logs.items()}, calibration, options)
            for e in _EXPONENTS
        ]
        chosen = _EXPONENTS[int(np.argmin(costs))]
        profiles |= {name: exp(chosen * direction) for name in own}
    return profiles


def limited(node: Node, step: Array, bits: int) -> Array:
    """Steps so small that the largest integer is the fused clip's bound or below: saturation then is the clip."""
    if math.isinf(node.operator.high) or not node.operator.rectified:
        return step
    levels = (1 << bits) - 1 if bits <= 8 else (1 << (bits - 1)) - 1
    return np.minimum(step, node.operator.high / levels)


def never_negative(node: Node, calibration: Calibration) -> bool:
    """Is the tensor unsigned: rectified, or without a negative value on any sample?"""
    return node.operator.rectified or bool(np.all(calibration.histograms[node.name].minimum >= 0))


def _optimal_steps(node: Node, bits: int, calibration: Calibration, options: Options) -> Array:
    """The best step of each channel on its own; silent channels get the middle of the others."""
    channels = calibration.channels(node.name)
    signed = bits > 8 or not never_negative(node, calibration)
    steps = scheme("mse").steps(channels, bits, signed)
    if options.headroom:
        steps = Room.of(steps, Levels.of(bits, signed), channels, calibration.peaks.get(node.name)).step(1.0)
    active = channels.samples > channels.zeros
    if not active.any():
        return np.ones_like(steps)
    middle = np.sort(steps[active])[np.count_nonzero(active) // 2]
    steps = np.where(active, steps, middle)
    return np.clip(steps, middle / 256, middle * 256)


def _cost(graph: Graph, steps: Mapping[str, Array], calibration: Calibration, options: Options) -> float:
    """Noise that activations and weights cause together at the layers that read the group, relative to their signal."""
    cost = 0.0
    for name, step in steps.items():
        node, channels = graph.by_name[name], calibration.channels(name)
        bits = activation_bits(graph, node, options)
        signed = bits > 8 or not never_negative(node, calibration)
        candidates = np.asarray(limited(node, step * exp2(_OCTAVES)[:, None], bits)).T
        peaks = calibration.peaks.get(name) if options.headroom else None
        rounded, clipped = expected_errors(channels, candidates, Levels.of(bits, signed), peaks)
        noises = (rounded + clipped) / np.maximum(channels.samples, 1)[:, None]
        best = int(np.argmin(total(noises, 0)))
        values = {"step": candidates[:, best], "noise": noises[:, best], "power": channels.mean_square}
        cost += sum(_reader_noise(reader, carried, options) for reader, carried in _linear_readers(graph, name, values))
    return cost


def _linear_readers(graph: Graph, name: str, values: Mapping[str, Array]) -> Iterable[tuple[Node, Mapping[str, Array]]]:
    """Linear nodes that read tensor ``name``, directly or through views and selections, with its channels' values."""
    for reader in graph.consumers(name):
        if isinstance(reader.operator, Linear):
            yield reader, values
        elif reader.operator.keeps_format:
            shape = graph.shapes[name]
            carried = {key: reader.operator.carry_step(value, [shape]) for key, value in values.items()}
            yield from _linear_readers(graph, reader.name, {k: v for k, v in carried.items() if v is not None})


def _reader_noise(reader: Node, values: Mapping[str, Array], options: Options) -> float:
    operator = reader.operator
    assert isinstance(operator, Linear)
    kernel = np.asarray(reader.weights["kernel"], np.float64)
    folded = operator.by_output(kernel * operator.input_step(kernel, values["step"]))
    top = (1 << (weight_bits(reader, options) - 1)) - 1
    largest = np.maximum(np.abs(folded).max(axis=0), 1e-30)
    resolution = np.ldexp(1.0, ceil_log2(largest / top))
    squares = np.broadcast_to(operator.input_step(kernel, values["power"] / values["step"] ** 2), kernel.shape)
    weights = total(resolution**2 / 12 * total(operator.by_output(squares), 0))
    activations = total(kernel**2 * operator.input_step(kernel, values["noise"]))
    signal = total(kernel**2 * operator.input_step(kernel, values["power"]))
    return float((weights + activations) / max(signal, 1e-30))
