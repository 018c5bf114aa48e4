"""How much memory is a stream worth? The plan of a step, with more or less that is kept from step to step."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan, score
from ggdq_mcu.planning.streaming import step_graph

_SPARES = (0.0, 0.25, 0.5, 1.0)
_NOTHING = 0.01  # the part of a step's instructions that moving rows may take before memory is spent on it


@dataclass(frozen=True)
class Streaming:
    """What is asked of a stream; ``hop``: frames from one window to the next, None: the fewest that strides allow."""

    hop: int | None = None


def make_stream_plan(
    graph: QuantizedGraph, core: Core, goal: str = "balanced", hop: int | None = None, limit: int | None = None
) -> Plan:
    """The plan of a step of ``graph`` that is best under ``goal``; see ``make_plan`` and ``step_graph``.

    What an upper border reads is kept or computed anew, and rings get more or less room to slide. ``limit``: bytes that
    arena and rings should have; where no choice keeps to it, the smallest is the result.
    """
    choices = []
    for keep in (True, False):
        step = step_graph(graph, hop, keep)
        plans = [make_plan(step, core, goal), *([make_plan(step, core, goal, 0)] if limit is not None else [])]
        choices += [replace(plan, spare=spare) for plan in plans for spare in _SPARES]
    return min(choices, key=lambda plan: (_excess(plan, limit), _worth(plan)))


def _excess(plan: Plan, limit: int | None) -> int:
    return 0 if limit is None else max(0, plan.arena.size + plan.ring_bytes - limit)


def _worth(plan: Plan) -> float:
    instructions = sum(kernel.instructions for kernel in plan.kernels.values())
    instructions += max(0.0, sum(ring.instructions for ring in plan.rings) - _NOTHING * instructions)
    return score(plan.goal, instructions, plan.arena.size + plan.ring_bytes)
