"""In which order does a network call its layers, and with which addresses? Strips that are alike become a loop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from ggdq_mcu.planning.arena import scratch_buffer, state_buffer, storage, tensor_bytes, view_starts
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.stages import Schedule, positions, row_bytes


class Place(NamedTuple):
    """An address: a buffer of the arena by its name in the plan (None: elsewhere), and bytes from its beginning."""

    buffer: str | None
    offset: int

    def behind(self, bytes_: int) -> Place:
        """The address so many bytes further."""
        return Place(self.buffer, self.offset + bytes_)


@dataclass(frozen=True)
class Call:
    """A call of a layer's function (``variant``: which of its parts), or of the function that moves rows (no variant).

    ``places``: where each argument is; ``bytes``: of the output, or of the rows moved.
    ``advance``: by how many bytes the places grow from one turn of the loop to the next.
    """

    layer: str
    variant: int | None
    places: tuple[Place, ...]
    output: int
    bytes: int
    advance: tuple[int, ...] = ()


class Block(NamedTuple):
    """Calls that are made ``turns`` times; ``title`` says what begins with them."""

    title: str
    turns: int
    calls: tuple[Call, ...]


def calls(plan: Plan) -> Iterator[Block]:
    """The calls of one inference, in order."""
    stages = {schedule.nodes[0]: schedule for schedule in plan.schedules}
    inside = {name for schedule in plan.schedules for name in schedule.nodes}
    place = _places(plan)
    for node in plan.layers:
        if node.name in stages:
            yield from _stage_blocks(plan, stages[node.name], place)
        elif node.name not in inside:
            elsewhere = Place(None, 0)
            places = tuple(place.get(name, elsewhere) for name in (*node.inputs, node.name)) + _own(plan, node.name)
            call = Call(node.name, 0, places, len(node.inputs), tensor_bytes(plan.graph, node.name))
            yield Block("", 1, (call,))


def _places(plan: Plan) -> dict[str, Place]:
    """Where in the arena the value of each node begins; what lies elsewhere, in a ring of a stream, is left out."""
    holder, starts = storage(plan.graph), view_starts(plan.graph)
    return {
        node.name: Place(holder[node.name], starts[node.name] * node.format.storage_bits // 8)
        for node in plan.graph.nodes
        if holder[node.name] in plan.arena.offsets
    }


def _own(plan: Plan, name: str) -> tuple[Place, ...]:
    """Where a layer's scratch memory and its state lie, if it has them."""
    kernel = plan.kernels[name]
    owner = plan.graph.state_owner(plan.graph.by_name[name])
    scratch = (Place(scratch_buffer(plan.graph, name), 0),) if kernel.scratch_bytes else ()
    return (*scratch, Place(state_buffer(plan.graph, owner), 0)) if kernel.state_bytes else scratch


def _stage_blocks(plan: Plan, schedule: Schedule, place: Mapping[str, Place]) -> Iterator[Block]:
    """The strips of a stage; those whose calls differ only in addresses that grow evenly are one block."""
    strips = _strips(plan, schedule, place)
    layers, rows = len(schedule.nodes), schedule.stage.rows
    title = f"{layers} layers in {len(strips)} strips of {rows} row{'s' if rows > 1 else ''}, {{}}"
    begin = 0
    while begin < len(strips):
        first, end = strips[begin], begin + 1
        advance = _advance(first, strips[end]) if end < len(strips) else None
        while end < len(strips) and advance is not None and _advance(strips[end - 1], strips[end]) == advance:
            end += 1
        if advance is not None and end - begin > 1:
            first = [_advancing(call, step) for call, step in zip(first, advance, strict=True)]
        which = f"strips {begin + 1} to {end}" if end - begin > 1 else f"strip {end}"
        yield Block(title.format(which), end - begin, tuple(first))
        begin = end


def _advancing(call: Call, steps: tuple[int, ...]) -> Call:
    return Call(call.layer, call.variant, call.places, call.output, call.bytes, steps)


def _advance(first: list[Call], second: list[Call]) -> list[tuple[int, ...]] | None:
    """By how much each address grows from one strip to the next; None where the calls differ otherwise."""
    if [(c.layer, c.variant, c.bytes) for c in first] != [(c.layer, c.variant, c.bytes) for c in second]:
        return None
    pairs = zip(first, second, strict=True)
    return [tuple(b.offset - a.offset for a, b in zip(one.places, other.places, strict=True)) for one, other in pairs]


def _strips(plan: Plan, schedule: Schedule, place: Mapping[str, Place]) -> list[list[Call]]:
    """The calls of each strip: for each part, the move of the rows that are kept, and the layer."""
    graph = plan.graph
    found = positions(graph, schedule)
    strips = []
    for strip in schedule.strips:
        made: list[Call] = []
        for part, reads, writes in (next(found) for _ in strip):
            name, inputs = part.node, graph.by_name[part.node].inputs
            row = row_bytes(graph, name)
            if part.kept and part.moved:
                made.append(Call(name, None, (place[name], place[name].behind(part.moved * row)), 0, part.kept * row))
            places = [place[source].behind(read) for source, read in zip(inputs, reads, strict=True)]
            places += [place[name].behind(writes), *_own(plan, name)]
            made.append(Call(name, part.variant, tuple(places), len(inputs), len(part.writes) * row))
        strips.append(made)
    return strips
