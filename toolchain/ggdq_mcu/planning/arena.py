"""Where does each feature map live while the network runs? Offsets in one static arena, by lifetimes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import lcm, prod

from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.planning.placement import ALIGNMENT, MANY_MOVES, Buffer, Sharing, demand, place
from ggdq_mcu.planning.stage_sharing import stage_sharings
from ggdq_mcu.planning.stages import Schedule, row_bytes


@dataclass(frozen=True)
class Arena:
    """Offset in bytes of every buffer; a layer's scratch memory is a buffer of its own, see ``scratch_buffer``.

    ``sharings`` are the overlaps that the kernels allow; ``bound`` is a size that no arena for these kernels is below.
    """

    buffers: tuple[Buffer, ...]
    sharings: tuple[Sharing, ...]
    offsets: Mapping[str, int]
    size: int
    bound: int

    @property
    def fullest(self) -> tuple[int, tuple[Buffer, ...]]:
        """The step (index of the node) at which most of the arena is in use, and the buffers then, largest first."""
        steps = sorted({buffer.first for buffer in self.buffers})
        alive = {step: [b for b in self.buffers if b.first <= step <= b.last] for step in steps}
        tops = {step: max(self.offsets[b.name] + b.size for b in some) for step, some in alive.items()}
        step = max(steps, key=lambda one: (tops[one], sum(b.size for b in alive[one])))
        return step, tuple(sorted(alive[step], key=lambda b: -b.size))


def storage(graph: QuantizedGraph) -> dict[str, str]:
    """For every node, the node whose memory holds its value: views live in what they look at."""
    holder: dict[str, str] = {}
    for node in graph.nodes:
        holder[node.name] = holder[node.inputs[0]] if node.operator.is_view else node.name
    return holder


def view_starts(graph: QuantizedGraph) -> dict[str, int]:
    """For every node the element at which its value begins in the memory of its holder, see ``storage``."""
    starts: dict[str, int] = {}
    for node in graph.nodes:
        inside = (
            node.operator.view_start(graph.input_shapes(node)) + starts[node.inputs[0]] if node.operator.is_view else 0
        )
        starts[node.name] = inside
    return starts


def scratch_buffer(graph: QuantizedGraph, name: str) -> str:
    """Name of the buffer of a layer's scratch memory."""
    return graph.own_name(name, "scratch")


def state_buffer(graph: QuantizedGraph, name: str) -> str:
    """Name of the buffer of what a layer keeps from one inference to the next."""
    return scratch_buffer(graph, name) + "/state"


def tensor_bytes(graph: QuantizedGraph, name: str) -> int:
    """Size of a node's value in memory."""
    return prod(graph.shapes[name]) * graph.by_name[name].format.storage_bits // 8


def plan_arena(
    graph: QuantizedGraph,
    kernels: Mapping[str, Kernel],
    schedules: Sequence[Schedule] = (),
    moves: int = MANY_MOVES,
) -> Arena:
    """Place all buffers so that the arena is small; an output lies over an input where the kernel allows it.

    Inputs have their places before the first layer runs, outputs keep theirs after the last. ``moves``: see ``place``.
    """
    buffers, sharings = needs(graph, kernels, schedules)
    offsets = place(buffers, sharings, moves)
    size = max((offsets[b.name] + b.size for b in buffers), default=0)
    return Arena(buffers, sharings, offsets, size, max(demand(buffers, sharings).values(), default=0))


def needs(
    graph: QuantizedGraph, kernels: Mapping[str, Kernel], schedules: Sequence[Schedule] = ()
) -> tuple[tuple[Buffer, ...], tuple[Sharing, ...]]:
    """The buffers, with the steps at which they are needed, and which of them may share memory.

    A step is a node of the graph; of a stage that runs in strips, the steps of one strip stand for those of all.
    """
    holder = storage(graph)
    step = {node.name: index for index, node in enumerate(graph.nodes)}
    first = step | dict.fromkeys(graph.inputs, 0)
    last = dict(step)
    for node in graph.nodes:
        for source in node.inputs:
            last[holder[source]] = max(last[holder[source]], step[node.name])
    kept = {holder[name] for name in graph.outputs}
    last |= dict.fromkeys(kept, len(graph.nodes) - 1)
    size = {name: tensor_bytes(graph, name) for name in step}
    for schedule in schedules:
        begin, end = step[schedule.nodes[0]], step[schedule.nodes[-1]]
        for name in schedule.nodes:
            size[name] = schedule.inner.get(name, graph.shapes[name][0]) * row_bytes(graph, name)
            # What later strips read or write lasts from strip to strip.
            if name not in schedule.inner or name in schedule.lasting:
                first[name], last[name] = begin, max(last[name], end)
            for source in (source for source in graph.by_name[name].inputs if source not in schedule.nodes):
                last[holder[source]] = max(last[holder[source]], end)
    buffers = [
        Buffer(name, _aligned(size[name]), first[name], last[name])
        for name in step
        if holder[name] == name and name not in graph.placed
    ]
    scratch = [
        Buffer(scratch_buffer(graph, name), _aligned(kernel.scratch_bytes), step[name], step[name])
        for name, kernel in kernels.items()
        if kernel.scratch_bytes
    ]
    state = [
        Buffer(state_buffer(graph, name), _aligned(kernel.state_bytes), 0, len(graph.nodes) - 1)
        for name, kernel in kernels.items()
        if kernel.state_bytes and graph.state_owner(graph.by_name[name]) == name
    ]
    in_strips = {name for schedule in schedules for name in schedule.nodes}
    sharings = [
        sharing
        for name, kernel in kernels.items()
        if name not in in_strips
        for sharing in _sharings(graph, name, kernel, holder)
        if last[sharing.input] == step[name] and sharing.input not in kept
    ]
    for schedule in schedules:
        ends = {name for name, place in last.items() if place == step[schedule.nodes[-1]]} - kept
        sharings += stage_sharings(graph, schedule, kernels, holder, ends)
    return tuple(buffers + scratch + state), tuple(sharings)


def _sharings(graph: QuantizedGraph, name: str, kernel: Kernel, holder: Mapping[str, str]) -> list[Sharing]:
    """The inputs of a layer that its kernel can write over; an input that is read twice must allow it twice."""
    result: list[Sharing] = []
    if name in graph.placed:
        return result
    starts = view_starts(graph)
    sources = [holder[source] for source in graph.by_name[name].inputs]
    for source in dict.fromkeys(sources):
        if source in graph.placed or any(starts[x] for x in graph.by_name[name].inputs if holder[x] == source):
            continue
        overlaps = [kernel.overlaps.get(i) for i, other in enumerate(sources) if other == source]
        allowed = [overlap for overlap in overlaps if overlap is not None]
        if len(allowed) == len(overlaps):
            multiple = lcm(ALIGNMENT, *(overlap.multiple for overlap in allowed))
            lead = max(overlap.lead for overlap in allowed)
            result.append(Sharing(name, source, -(-lead // multiple) * multiple, multiple))
    return result


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
