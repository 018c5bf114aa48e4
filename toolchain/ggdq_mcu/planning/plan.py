"""Which kernel computes each layer, and where does everything lie in memory?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from ggdq_mcu.boards import Core
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.operators import Kernel
from ggdq_mcu.planning.arena import Arena, needs, plan_arena
from ggdq_mcu.planning.placement import demand

GOALS = ("speed", "balanced", "size")


@dataclass(frozen=True)
class Plan:
    """The kernel of every layer, in the order of execution, and the arena."""

    graph: QuantizedGraph
    core: Core
    goal: str
    kernels: Mapping[str, Kernel]
    arena: Arena

    @property
    def layers(self) -> list[QuantizedNode]:
        """The nodes that are code: neither inputs nor views."""
        return [self.graph.by_name[name] for name in self.kernels]

    @cached_property
    def constant_bytes(self) -> int:
        """Bytes of flash that the layers' constants take; equal arrays are there once."""
        distinct = {(array.dtype.str, array.tobytes()) for k in self.kernels.values() for array in k.arrays.values()}
        return sum(len(content) for _, content in distinct)


def make_plan(graph: QuantizedGraph, core: Core, goal: str = "balanced") -> Plan:
    """Choose for each layer the kernel that the cost model likes best under ``goal``, then place the buffers.

    "speed" takes the fastest kernels. "balanced" takes them where they fit into the memory that the network needs anyway:
    with, for each layer, the least work memory of the kernels that are not more than twice as slow as its fastest.
    "size" takes the portable kernels.
    """
    candidates = {
        node.name: node.operator.kernels(node, graph, core)
        for node in graph.nodes
        if node.inputs and not node.operator.is_view
    }
    if goal == "size":
        kernels = {name: kernels[0] for name, kernels in candidates.items()}
    elif goal == "speed":
        kernels = {name: min(kernels, key=_instructions) for name, kernels in candidates.items()}
    else:
        kernels = _balanced(graph, candidates)
    return Plan(graph, core, goal, kernels, plan_arena(graph, kernels))


def _balanced(graph: QuantizedGraph, candidates: Mapping[str, list[Kernel]]) -> dict[str, Kernel]:
    quick = {name: _quick(kernels) for name, kernels in candidates.items()}
    kernels = {name: min(some, key=lambda k: (k.scratch_bytes, _instructions(k))) for name, some in quick.items()}
    size = plan_arena(graph, kernels).size
    for name, some in quick.items():
        for kernel in sorted(some, key=_instructions):
            if kernel is kernels[name] or plan_arena(graph, kernels | {name: kernel}).size <= size:
                kernels[name] = kernel
                break
    return kernels


def _quick(kernels: list[Kernel]) -> list[Kernel]:
    """The kernels worth their time."""
    # Weights of few bits were chosen for the sake of flash, and the portable kernel keeps them packed.
    if kernels[0].parameters.get("weight_bits", 8) < 8:
        return kernels[:1]
    most = 2 * min(map(_instructions, kernels))
    return [kernel for kernel in kernels if _instructions(kernel) <= most]


def _instructions(kernel: Kernel) -> float:
    """The estimate; a kernel without one is the slowest."""
    return kernel.instructions or math.inf
