"""Where does each feature map live while the network runs? Offsets in one static arena, by lifetimes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.operators import Kernel

ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """Memory that must hold its content from step ``first`` to step ``last``, both included."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Are both needed at some step?"""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """Offset in bytes of every buffer; scratch memory of layer NAME is the buffer "NAME/scratch"."""

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    size: int


def storage(graph: QuantizedGraph) -> dict[str, str]:
    """For every node, the node whose memory holds its value: views live in what they look at."""
    holder: dict[str, str] = {}
    for node in graph.nodes:
        holder[node.name] = holder[node.inputs[0]] if node.operator.is_view else node.name
    return holder


def tensor_bytes(graph: QuantizedGraph, name: str) -> int:
    """Size of a node's value in memory."""
    return prod(graph.shapes[name]) * graph.by_name[name].format.storage_bits // 8


def plan_arena(graph: QuantizedGraph, kernels: Mapping[str, Kernel]) -> Arena:
    """Place all buffers, largest first, each at the lowest offset that is free while it lives.

    Inputs and outputs lie in the caller's memory and take no part.
    """
    buffers = _lifetimes(graph, kernels)
    offsets: dict[str, int] = {}
    placed: list[Buffer] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first, b.name)):
        offset = 0
        neighbours = sorted((offsets[other.name], other.size) for other in placed if other.meets(buffer))
        for start, size in neighbours:
            if offset + buffer.size <= start:
                break
            offset = max(offset, start + size)
        offsets[buffer.name] = offset
        placed.append(buffer)
    size = max((offsets[b.name] + b.size for b in buffers), default=0)
    return Arena(tuple(buffers), offsets, size)


def _lifetimes(graph: QuantizedGraph, kernels: Mapping[str, Kernel]) -> list[Buffer]:
    holder = storage(graph)
    outside = {holder[name] for name in (*graph.inputs, *graph.outputs)}
    step = {node.name: index for index, node in enumerate(graph.nodes)}
    last = dict(step)
    for node in graph.nodes:
        for source in node.inputs:
            last[holder[source]] = max(last[holder[source]], step[node.name])
    buffers = [
        Buffer(name, _aligned(tensor_bytes(graph, name)), step[name], last[name])
        for name in step
        if holder[name] == name and name not in outside
    ]
    scratch = [
        Buffer(f"{name}/scratch", _aligned(kernel.scratch_bytes), step[name], step[name])
        for name, kernel in kernels.items()
        if kernel.scratch_bytes
    ]
    return buffers + scratch


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
