"""Which layers should run in strips, and how high should the strips be? Those around the fullest step, while it pays.

Every run of layers around the step that needs most is tried, with strips of several heights: first by what its steps
need at least, then, the most promising ones, with their buffers placed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.planning.arena import needs
from ggdq_mcu.planning.placement import demand
from ggdq_mcu.planning.stages import Schedule, Stage, aligned, make_schedule

if TYPE_CHECKING:
    from ggdq_mcu.planning.plan import Plan, Planner

_SMALL_ARENA = 4096  # bytes; below it strips save too little for the code that they take, unless a limit asks for them
_LAYERS = 8  # that a stage has at most
_ROWS = (1, 2, 3, 4, 6, 8, 12, 16)
_PLACED = 8  # candidates whose buffers are placed
_STAGES = 6  # rounds of the search
_GAIN = 0.95  # strips that improve the score by less are not worth their code
#: Goal balanced stays fast and small: strips may take so many times the instructions without them, and for each byte of
#: arena that they save so many bytes of code: a first, a middle and a last strip may need a kernel each.
_SLOWEST = 1.015
_CODE = 0.25


def with_stages(planner: Planner) -> Plan:
    """The best plan found, with layers in strips or without."""
    best = plain = planner.plan()
    if planner.graph.placed:
        return best  # a step of a stream computes a few rows anyway
    for _ in range(_STAGES):
        if not _wanted(planner, best):
            return best
        promising = sorted(_candidates(planner, best), key=lambda candidate: candidate[0])
        plans = [planner.plan(schedules) for _, schedules in promising[:_PLACED]]
        paying = [plan for plan in plans if _pays(planner, plain, best, plan)]
        if not paying:
            return best
        best = min(paying, key=lambda plan: planner.score(plan.kernels, plan.arena.size))
    return best


def _wanted(planner: Planner, plan: Plan) -> bool:
    """Would a smaller arena be worth something?"""
    if planner.arena_limit is not None and plan.arena.size > planner.arena_limit:
        return True
    return planner.goal != "speed" and plan.arena.size > _SMALL_ARENA


def _pays(planner: Planner, plain: Plan, best: Plan, plan: Plan) -> bool:
    """Is ``plan`` worth more than the best so far? ``plain`` is the one without strips."""
    before = planner.score(best.kernels, best.arena.size)
    after = planner.score(plan.kernels, plan.arena.size)
    if after[0] != before[0]:
        return after[0] < before[0]  # nearer to the limit
    if planner.goal == "balanced":
        fast = instructions(plan.kernels) <= _SLOWEST * instructions(plain.kernels)
        small = plan.code_bytes - plain.code_bytes <= _CODE * (plain.arena.size - plan.arena.size)
        if not (fast and small):
            return False
    return after[1] <= _GAIN * before[1]


def instructions(kernels: Mapping[str, Kernel]) -> float:
    """The estimate for one inference."""
    return sum(kernel.instructions for kernel in kernels.values())


def _candidates(planner: Planner, plan: Plan) -> Iterator[tuple[tuple[float, float], tuple[Schedule, ...]]]:
    """Stages around the step that needs most, with the plan's own that do not overlap them, and what they promise."""
    graph = plan.graph
    needed = demand(*needs(graph, plan.kernels, plan.schedules))
    fullest = max(needed, key=lambda step: (needed[step], -step))
    names = [node.name for node in graph.nodes]
    score = planner.score(plan.kernels, plan.arena.size)
    for first in range(max(fullest - _LAYERS + 1, 0), fullest + 1):
        for last in range(max(fullest, first + 1), min(first + _LAYERS, len(names))):
            inside = set(names[first : last + 1])
            others = tuple(schedule for schedule in plan.schedules if inside.isdisjoint(schedule.nodes))
            for rows, pairs in product(_ROWS, (False, True)):
                schedule = make_schedule(graph, Stage(names[first], names[last], rows, pairs))
                if schedule is None or len(schedule.strips) < 2:
                    break
                if not aligned(graph, schedule):
                    continue
                schedules = (*others, schedule)
                if schedules == plan.schedules:
                    continue
                promise, least = planner.promise(schedules, plan.kernels)
                if promise < score:
                    yield promise, schedules
                if least >= plan.arena.size:
                    break  # higher strips need no less
