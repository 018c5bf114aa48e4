"""Which kernel computes each layer, and where does everything lie in memory?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.operators import Kernel
from ggdq_mcu.planning.arena import Arena, plan_arena

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


def make_plan(graph: QuantizedGraph, core: Core, goal: str = "balanced") -> Plan:
    """Choose for each layer the kernel that the cost model likes best under ``goal``, then place the buffers."""
    kernels = {
        node.name: _choose(node.operator.kernels(node, graph, core), goal)
        for node in graph.nodes
        if node.inputs and not node.operator.is_view
    }
    return Plan(graph, core, goal, kernels, plan_arena(graph, kernels))


def _choose(candidates: list[Kernel], goal: str) -> Kernel:
    # Weights of few bits were chosen for the sake of flash, and the portable kernel keeps them packed.
    packed = candidates[0].parameters.get("weight_bits", 8) < 8
    return candidates[0] if goal == "size" or (goal == "balanced" and packed) else candidates[-1]
