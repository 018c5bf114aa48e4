"""Which kernel computes each layer, which layers run in strips (tiling), and where does everything lie? One search.

Kernels: for each size that the largest step may have, the fastest that keep to it; the best is what the goal likes most.
Strips: every run of layers around the step that needs most is tried, with strips of several heights: first by what its
steps need at least, then, the most promising ones, with their buffers placed; while it pays.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import product

from ggdq_mcu.boards import Core
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.planning.arena import needs, plan_arena
from ggdq_mcu.planning.placement import FEW_MOVES, demand
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.rings import alike, usable
from ggdq_mcu.planning.stages import Schedule, Stage, aligned, make_schedule
from ggdq_mcu.planning.strip_kernels import StripKernel, StripKernels

GOALS = ("speed", "balanced", "size")


def make_plan(
    graph: QuantizedGraph,
    core: Core,
    goal: str = "balanced",
    arena_limit: int | None = None,
    measured: Mapping[str, Mapping[str, int]] | None = None,
    stages: Sequence[Stage] | None = None,
) -> Plan:
    """Choose for each layer the kernel that the cost model likes best under ``goal``, and place the buffers.

    "speed" takes the fewest instructions. "balanced" trades them for arena, which is worth more. "size" takes the smallest
    constants, then the smallest arena. ``arena_limit``: bytes that the arena should have; where no choice keeps to it,
    the smallest arena is the result. ``measured``: instructions by layer and kernel, where they are known better than by
    the cost model. ``stages``: the layers that run in strips; None: those that the goal or the limit is served by.
    """
    planner = Planner(graph, core, goal, arena_limit, measured or {})
    if stages is None:
        return _placed_well(with_stages(planner))
    schedules = [make_schedule(graph, stage) for stage in stages]
    if any(schedule is None or not aligned(graph, schedule) for schedule in schedules):
        raise GgdqError("some layers cannot run in strips as they should", graph.name)
    return _placed_well(planner.plan(tuple(schedule for schedule in schedules if schedule)))


def _placed_well(plan: Plan) -> Plan:
    """The plan with its buffers placed with more patience than while plans are compared."""
    if plan.arena.size == plan.arena.bound:
        return plan
    arena = plan_arena(plan.graph, plan.kernels, plan.schedules)
    return replace(plan, arena=arena) if arena.size < plan.arena.size else plan


class Planner:
    """Plans of one network under one goal, with different layers in strips."""

    def __init__(
        self,
        graph: QuantizedGraph,
        core: Core,
        goal: str,
        arena_limit: int | None,
        measured: Mapping[str, Mapping[str, int]],
    ) -> None:
        self.graph, self.core, self.goal, self.arena_limit = graph, core, goal, arena_limit
        self._measured = measured
        self._in_strips = StripKernels(graph, core)
        candidates = {
            node.name: _allowed(_counted(usable(node, graph, core), measured.get(node.name, {})), goal)
            for node in graph.nodes
            if node.inputs and not node.operator.is_view
        }
        self._whole = alike(candidates, graph)

    def plan(self, schedules: tuple[Schedule, ...] = ()) -> Plan:
        """The best plan whose layers of ``schedules`` run in strips."""
        candidates = self._candidates(schedules)
        needed = _needs(self.graph, candidates, schedules)
        best: tuple[tuple[float, float], Plan] | None = None
        # The most promising choice first: no arena is below what its steps need, so no score is below its promise.
        for promise, kernels in sorted(_choices(candidates, needed, self.goal), key=lambda choice: choice[0]):
            if best is not None and best[0] <= (0, promise):
                break
            arena = plan_arena(self.graph, kernels, schedules, FEW_MOVES)
            plan = Plan(self.graph, self.core, self.goal, kernels, arena, schedules=schedules)
            score = self.score(kernels, arena.size)
            if best is None or score < best[0]:
                best = score, plan
        assert best is not None  # there is a choice for the floor
        return best[1]

    def score(self, kernels: Mapping[str, Kernel], arena: int) -> tuple[float, float]:
        """What plans are compared by: bytes beyond the limit, then what the goal asks for. Less is better."""
        excess = 0 if self.arena_limit is None else max(0, arena - self.arena_limit)
        return excess, _score(self.goal, kernels, arena)

    def promise(
        self, schedules: tuple[Schedule, ...], kernels: Mapping[str, Kernel]
    ) -> tuple[tuple[float, float], int]:
        """A score that plans with these layers in strips come near to, and bytes that their arenas need at least.

        ``kernels`` are those of a plan before.
        """
        scores, least = [], []
        candidates = {name: self._strip_candidates(name, s) for s in schedules for name in s.nodes}
        given_up = {name for name, kernel in kernels.items() if isinstance(kernel, StripKernel)} - candidates.keys()
        candidates |= {name: self._whole[name] for name in given_up}
        for choice in (_fastest_of, _smallest_of):
            chosen = {**kernels, **{name: choice(options) for name, options in candidates.items()}}
            least.append(max(demand(*needs(self.graph, chosen, schedules)).values()))
            scores.append(self.score(chosen, least[-1]))
        return min(scores), min(least)

    def _candidates(self, schedules: Sequence[Schedule]) -> dict[str, Sequence[Kernel]]:
        in_strips = {name: schedule for schedule in schedules for name in schedule.nodes}
        return {
            name: self._strip_candidates(name, in_strips[name]) if name in in_strips else whole
            for name, whole in self._whole.items()
        }

    def _strip_candidates(self, name: str, schedule: Schedule) -> list[Kernel]:
        found: list[Kernel] = list(self._in_strips.candidates(name, schedule))
        # What was measured is the whole layer's: the estimates grow by the same factor.
        estimates = {kernel.name: kernel.instructions for kernel in self._unmeasured[name]}
        for place, kernel in enumerate(found):
            measured, estimate = self._measured.get(name, {}).get(kernel.name), estimates.get(kernel.name)
            if measured and estimate:
                found[place] = replace(kernel, instructions=kernel.instructions * measured / estimate)
        return _allowed(found, self.goal)

    @cached_property
    def _unmeasured(self) -> Mapping[str, Sequence[Kernel]]:
        nodes = (self.graph.by_name[name] for name in self._whole)
        return {node.name: kernels_of(self.graph.layer(node), self.core) for node in nodes}


def _counted(candidates: Sequence[Kernel], measured: Mapping[str, int]) -> list[Kernel]:
    """The kernels with what was measured in place of the estimates."""
    return [replace(kernel, instructions=measured.get(kernel.name, kernel.instructions)) for kernel in candidates]


#: Goal balanced: how many percent of time one percent of the arena is worth. Memory is what runs out on a microcontroller.
_WORTH_OF_MEMORY = 2.5


def _allowed(candidates: Sequence[Kernel], goal: str) -> list[Kernel]:
    """The kernels that the goal admits; weights of few bits were chosen for flash, so only speed unpacks them."""
    smallest = min(_constants(kernel) for kernel in candidates)
    packed = [kernel for kernel in candidates if kernel.parameters.get("weight_bits", 8) < 8]
    if goal == "size":
        return [kernel for kernel in candidates if _constants(kernel) == smallest]
    return packed if packed and goal == "balanced" else list(candidates)


def _constants(kernel: Kernel) -> int:
    return sum(array.nbytes for array in kernel.arrays.values())


def _score(goal: str, kernels: Mapping[str, Kernel], arena: int) -> float:
    return score(goal, sum(kernel.instructions for kernel in kernels.values()), arena)


def score(goal: str, instructions: float, memory: int) -> float:
    """What so many instructions and bytes are worth under the goal; the less, the better."""
    if goal == "balanced":
        return float((instructions + 1) * (memory + 1) ** _WORTH_OF_MEMORY)
    # The second term decides between equals.
    return instructions + 1e-6 * memory if goal == "speed" else memory + 1e-12 * instructions


def _needs(
    graph: QuantizedGraph, candidates: Mapping[str, Sequence[Kernel]], schedules: Sequence[Schedule]
) -> dict[str, list[int]]:
    """For every kernel of every layer, bytes of arena that the layer's step needs with it."""
    step = {node.name: index for index, node in enumerate(graph.nodes)}
    most = max((len(kernels) for kernels in candidates.values()), default=0)
    tables = []
    for place in range(most):
        kernels = {name: options[min(place, len(options) - 1)] for name, options in candidates.items()}
        tables.append(demand(*needs(graph, kernels, schedules)))
    return {name: [tables[i].get(step[name], 0) for i in range(len(options))] for name, options in candidates.items()}


def _choices(
    candidates: Mapping[str, Sequence[Kernel]], needed: Mapping[str, Sequence[int]], goal: str
) -> list[tuple[float, dict[str, Kernel]]]:
    """For each size that the largest step may have, the fastest kernels that keep to it and the score."""
    floor = max((min(sizes) for sizes in needed.values()), default=0)
    choices = []
    for size in sorted({max(size, floor) for options in needed.values() for size in options} | {floor}):
        places = {name: _fastest(options, needed[name], size) for name, options in candidates.items()}
        largest = max((needed[name][place] for name, place in places.items()), default=0)
        kernels = {name: candidates[name][place] for name, place in places.items()}
        choices.append((_score(goal, kernels, largest), kernels))
    return choices


def _fastest(kernels: Sequence[Kernel], needed: Sequence[int], size: int) -> int:
    """Index of the fastest kernel whose step needs at most ``size``; one without an estimate is the slowest."""
    fitting = [place for place, bytes_ in enumerate(needed) if bytes_ <= size]
    return min(fitting, key=lambda place: (kernels[place].instructions or math.inf, needed[place]))


def _fastest_of(kernels: Sequence[Kernel]) -> Kernel:
    return min(kernels, key=lambda kernel: kernel.instructions or math.inf)


def _smallest_of(kernels: Sequence[Kernel]) -> Kernel:
    return min(kernels, key=lambda kernel: (kernel.scratch_bytes, kernel.instructions or math.inf))


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
