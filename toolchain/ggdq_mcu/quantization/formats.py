"""Which format does a feature map get? Step, zero point and bits, from its distribution and from what it is read by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.input import INTEGERS, Input
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.quantization.bit_lengths import activation_bits
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.channel_steps import limited, never_negative, profile_groups
from ggdq_mcu.quantization.distortion import Levels
from ggdq_mcu.quantization.inputs import by_channel, carried, channels_may_differ, grid_format, worth_channels
from ggdq_mcu.quantization.narrowing import narrowed
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.schemes import scheme

Array = NDArray[Any]
_MOST_PARTS = 15  # bits of n: what the kernel's 32-bit products of 16-bit exponentials hold
_ROOMY = 12  # bits: from here on, clipping a value beyond all seen costs more than a coarser step


@dataclass(frozen=True, eq=False)
class FormatChoice:
    """What formats are chosen by: ``profiles`` are the relative channel steps by node name.

    ``clip_weight``: how many times the error of clipped values counts, see clip_weight.py.
    """

    graph: Graph
    calibration: Calibration
    options: Options
    profiles: Mapping[str, Array]
    clip_weight: float = 1.0

    @cached_property
    def stretchable(self) -> frozenset[str]:
        """Nodes whose channel steps concern no other node's format."""
        if not self.options.channel_steps:
            return frozenset()
        alone = []
        for group in profile_groups(self.graph):
            own = [name for name in group if not self.graph.by_name[name].operator.keeps_format]
            if len(own) == 1:
                alone.append(own[0])
        return frozenset(alone)

    def format_of(self, node: Node, sources: Sequence[Format]) -> Format:
        """The format of a node's value, where its inputs have the formats ``sources``."""
        graph = self.graph
        if not sources:
            return self._input_format(node)
        if node.operator.keeps_format:
            return _carried(graph, node, sources[0])
        bits = activation_bits(graph, node, self.options)
        fixed = node.operator.fixed_format(sources, bits)
        if fixed is not None:
            return self._inner_shares(node, fixed)
        shapes = [graph.shapes[name] for name in node.inputs]
        moved = node.operator.moved_format(sources, shapes) if node.name in self.stretchable else None
        if moved is not None:
            return moved
        if node.name in self.profiles:
            return self._channel_format(node, bits)
        return self._tensor_format(node, bits)

    def _inner_shares(self, node: Node, fixed: Format) -> Format:
        """The fixed format or, for shares (softmax) that no output returns, a step of 1/n that fits values far below 1."""
        if not node.operator.gives_shares or node.name in self.graph.outputs or fixed.bits > 8:
            return fixed
        fitting = self._with_room(node, self._scheme_step(node, fixed), Levels.of(fixed.bits), fixed.bits)
        parts = min(max(int(1 / max(fitting, 2.0**-_MOST_PARTS)), 1 << fixed.bits), 1 << _MOST_PARTS)
        return replace(fixed, step=1 / parts)

    def _scheme_step(self, node: Node, form: Format) -> float:
        return self.calibration.step(node.name, scheme(self.options.scheme), form.bits, form.signed)

    def _channel_format(self, node: Node, bits: int) -> Format:
        profile = self.profiles[node.name]
        signed = bits > 8 or not never_negative(node, self.calibration)
        whole = self.calibration.step(node.name, scheme(self.options.scheme), bits, signed, profile)
        step = profile * self._with_room(node, whole, Levels.of(bits, signed), bits, profile)
        # Unless other tensors are tied to the proportions, an upper clip may shorten single steps.
        return Format(bits, signed, limited(node, step, bits) if node.name in self.stretchable else step)

    def _tensor_format(self, node: Node, bits: int) -> Format:
        chosen, calibration = scheme(self.options.scheme), self.calibration
        signed, zero_point = bits > 8, 0
        if signed or never_negative(node, calibration):
            step = calibration.step(node.name, chosen, bits, signed)
        else:
            signed = True
            step, zero_point = calibration.signed_format(node.name, bits, chosen)
        step = self._with_room(node, step, Levels.of(bits, signed, zero_point), bits)
        form = Format(bits, signed, float(limited(node, np.asarray(step), bits)), zero_point)
        return self._read_by_activations(node, form) if signed and bits <= 8 else form

    def _read_by_activations(self, node: Node, form: Format) -> Format:
        """The signed format, narrowed to what the activations that read the map make use of, where nothing else does."""
        readers = [reader.operator for reader in self.graph.consumers(node.name)]
        activations = [reader for reader in readers if isinstance(reader, Activation)]
        if not self.options.narrowing or len(activations) != len(readers) or node.name in self.graph.outputs:
            return form
        functions = [lambda x, f=f: f.compute([x], {}) for f in activations]
        return narrowed(form, self.calibration.distribution(node.name), functions, self.clip_weight)

    def _with_room(self, node: Node, step: float, levels: Levels, bits: int, profile: Array | None = None) -> float:
        if bits >= _ROOMY:
            return 2 * step
        if not self.options.headroom or self.calibration.drawn:
            return step
        return float(self.calibration.room(node.name, step, levels, profile).step(self.clip_weight)[0])

    def _input_format(self, node: Node) -> Format:
        options = self.options
        if node.name in options.input_formats:
            return options.input_formats[node.name]
        whole = _whole_numbers(self.graph, node)
        if whole is not None:
            return whole
        bits = activation_bits(self.graph, node, options)
        padded = list(_padded_with(self.graph, node.name))
        # Pixels are 0..255 already: no step could be better than 1.
        if node.name in self.calibration.pixels and bits == 8:
            return _holding(Format(8, False, 1.0), padded)
        return self._input_of_samples(node, bits) or _holding(self._tensor_format(node, bits), padded)

    def _input_of_samples(self, node: Node, bits: int) -> Format | None:
        """The grid that the samples lie on, or formats by channel where these are worth it; None where one format does."""
        calibration, options = self.calibration, self.options
        values = None if calibration.drawn else calibration.samples.get(node.name)
        if values is None:
            return None
        key = "input", node.name, bits, options.scheme, options.headroom
        return calibration.remembered(key, lambda: self._found_input(node, bits, values))

    def _found_input(self, node: Node, bits: int, values: Array) -> Format | None:
        graph, options = self.graph, self.options
        if not list(_padded_with(graph, node.name)) and (grid := grid_format(values, bits)) is not None:
            return grid
        steps, zeros = channels_may_differ(graph, node.name)
        if not steps:
            return None
        one = self._tensor_format(node, bits)

        def made(samples: Array) -> Format:
            return by_channel(samples, bits, scheme(options.scheme), options.headroom, zeros)

        return made(values) if worth_channels(graph, node.name, values, one, made) else None


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


def _carried(graph: Graph, node: Node, source: Format) -> Format:
    if not source.per_channel:
        return source
    found = carried(node, source, graph.shapes[node.inputs[0]])
    if found is None:
        raise GgdqError("channel steps do not carry over")
    return found
