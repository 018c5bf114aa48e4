"""What is a network that takes a stream? A graph for one step, and the rows that outlast it.

A window of frames (rows of the input) slides over the stream; a step moves it on by ``hop`` frames and computes the rows that
this makes new. Rows that are needed again lie in rings. The outputs are those of the whole network on the window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import ClassVar

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.format import Format
from ggdq_mcu.graph.graph import Array, Shape
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.quantized import Place, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.rows import replaced


@dataclass(frozen=True)
class Rows(Operator):
    """``count`` rows from row ``first`` on, along ``axis`` (counted from the end), all axes before it being 1; no code."""

    axis: int
    first: int
    count: int

    is_view: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return replaced(shapes[0], self.axis, self.count)

    def view_start(self, shapes: Sequence[Shape]) -> int:
        return self.first * prod(shapes[0][len(shapes[0]) + self.axis + 1 :])

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return np.take(inputs[0], range(self.first, self.first + self.count), self.axis)


@dataclass(frozen=True)
class Advance(Operator):
    """A ring after a step: the first input, moved on by ``moves`` rows, and the other inputs at rows ``starts``; no code."""

    axis: int
    moves: int
    starts: tuple[int, ...]

    is_view: ClassVar[bool] = True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        ring = np.roll(inputs[0], -self.moves, self.axis)
        rows = np.moveaxis(ring, self.axis, 0)
        for start, computed in zip(self.starts, inputs[1:], strict=True):
            rows[start : start + computed.shape[self.axis]] = np.moveaxis(computed, self.axis, 0)
        return ring


@dataclass(frozen=True)
class Ring:
    """Memory for ``rows`` rows of a tensor. A step moves the rows ``kept`` on by ``moves`` and computes others anew.

    ``before`` and ``after`` are the nodes of its content before and after the step; rows are counted from the ring's first.
    """

    name: str
    before: str
    after: str
    rows: int
    row_elements: int
    moves: int
    kept: range
    format: Format

    @property
    def row_bytes(self) -> int:
        return self.row_elements * self.format.storage_bits // 8


@dataclass(frozen=True)
class StepGraph(QuantizedGraph):
    """One step as a graph. Inputs are the ``hop`` new frames; the nodes ``before`` of the rings are given beside them.

    ``whole`` is the network on a window of ``window`` frames, whose outputs are this graph's, in the same order.
    ``keep``: the rows that upper borders read are kept, see ``planning.streaming``.
    ``layer_of`` names for each node the layer of ``whole`` that it computes a part of.
    """

    whole: QuantizedGraph
    window: int
    hop: int
    keep: bool
    rings: tuple[Ring, ...]
    placed: Mapping[str, Place] = field(default_factory=dict)
    layer_of: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Names of the nodes that hold the new frames."""
        return self.whole.inputs

    def frame_shape(self, name: str) -> Shape:
        """Shape of one frame of an input."""
        return self.whole.shapes[name][1:]


class Stream:
    """The integer reference of a stream: frames in, and the outputs of every window that ends with a step.

    The first window is that of the first ``window`` frames; one follows after every ``hop`` further frames.
    """

    def __init__(self, step: StepGraph) -> None:
        self.step = step
        nodes = (step.by_name[ring.before] for ring in step.rings)
        self._rings = {node.name: np.zeros((1, *step.shapes[node.name]), node.format.dtype) for node in nodes}
        self._frames = {
            name: np.zeros((1, *step.shapes[name]), step.by_name[name].format.dtype) for name in step.inputs
        }
        self._gathered = -step.window % step.hop
        self._missing = step.window

    def push(self, frame: Mapping[str, Array]) -> dict[str, Array] | None:
        """Takes one frame of every input, by name; the outputs by name where a window is complete, else None."""
        for name, frames in self._frames.items():
            if np.shape(frame[name]) != self.step.frame_shape(name):
                what = f"a frame has shape {np.shape(frame[name])} instead of {self.step.frame_shape(name)}"
                raise GgdqError(what, f"input {name!r}")
            frames[0, self._gathered] = frame[name]
        self._gathered += 1
        self._missing = max(0, self._missing - 1)
        if self._gathered < self.step.hop:
            return None
        self._gathered = 0
        kept: dict[str, Array] = {}
        after = {ring.after for ring in self.step.rings}

        def keep(node: QuantizedNode, value: Array) -> Array:
            if node.name in after:
                kept[node.name] = value
            return value

        outputs = self.step.run({**self._rings, **self._frames}, keep)
        self._rings = {ring.before: kept[ring.after] for ring in self.step.rings}
        if self._missing:
            return None
        named = zip(self.step.whole.outputs, self.step.outputs, strict=True)
        return {name: outputs[computed][0] for name, computed in named}
