"""How do some layers run in strips, so that only a few rows of what lies between them are in memory at a time?

A stage is a run of layers in the graph's order. For each strip of its outputs' rows, each of its layers computes the
rows that the later ones need and that no strip before has computed, so nothing is computed twice. Feature maps that
are read inside the stage only are inner ones: their buffers hold as many rows as a strip needs, and rows that the next
strip needs again move to the buffer's beginning. Each part of a layer is the same operator on a lower image, so every
kernel can compute it, and the integers are the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.rows import HEIGHT, RowPadding


@dataclass(frozen=True)
class Stage:
    """The layers from ``first`` to ``last`` run in strips of ``rows`` rows of the stage's outputs.

    ``pairs``: of the layers between, rows are computed two by two, as some kernels want them.
    """

    first: str
    last: str
    rows: int
    pairs: bool = False


@dataclass(frozen=True)
class Variant:
    """A layer on some of its rows: the operator that computes them, and its shapes."""

    operator: Operator
    inputs: tuple[Shape, ...]
    output: Shape


@dataclass(frozen=True)
class Part:
    """What one strip computes of one layer: rows ``writes`` of its output from rows ``reads[i]`` of input i.

    ``variant`` is the index of its operator and shapes among the layer's. Rows are those of whole feature maps;
    ``held`` are those that the output's buffer holds then. Of these, the first ``kept`` are from the strip before, when
    they were ``moved`` rows further down in the buffer.
    """

    node: str
    variant: int
    reads: tuple[range, ...]
    writes: range
    held: range
    kept: int
    moved: int


@dataclass(frozen=True)
class Schedule:
    """A stage worked out. ``inner``: the rows of the buffers of inner feature maps, by layer; ``lasting``: those of them
    with rows that a later strip reads again. ``variants``: what each layer's parts are."""

    stage: Stage
    nodes: tuple[str, ...]
    strips: tuple[tuple[Part, ...], ...]
    variants: Mapping[str, tuple[Variant, ...]]
    inner: Mapping[str, int]
    lasting: frozenset[str]

    def parts(self, name: str) -> list[Part]:
        """The parts of one layer, in their order."""
        return [part for strip in self.strips for part in strip if part.node == name]


def row_bytes(graph: QuantizedGraph, name: str) -> int:
    """Bytes of a row of a feature map (H, W, C)."""
    return prod(graph.shapes[name][1:]) * graph.by_name[name].format.storage_bits // 8


def make_schedule(graph: QuantizedGraph, stage: Stage) -> Schedule | None:
    """What each strip computes; None where the stage's layers do not work by rows."""
    members = stage_members(graph, stage)
    if not all(_works_by_rows(graph, node) for node in members):
        return None
    work = _Work(graph, members, 2 if stage.pairs else 1)
    heights = {graph.shapes[name][0] for name in work.outer}
    if len(heights) != 1:
        return None
    (height,) = heights
    strips = []
    for start in range(0, height, stage.rows):
        strip = work.strip(min(start + stage.rows, height), last=start + stage.rows >= height)
        if strip is None:
            return None
        strips.append(strip)
    inner = {
        name: max(len(part.held) for strip in strips for part in strip if part.node == name)
        for name in (node.name for node in members)
        if name not in work.outer
    }
    names = tuple(node.name for node in members)
    variants = {name: tuple(found) for name, found in work.variants.items()}
    return Schedule(stage, names, tuple(strips), variants, inner, frozenset(_lasting(graph, strips) & set(inner)))


def _lasting(graph: QuantizedGraph, strips: Sequence[tuple[Part, ...]]) -> set[str]:
    """The layers of which a strip reads rows that an earlier one computed."""
    found = set()
    for strip in strips:
        found |= {part.node for part in strip if part.kept}
        computed = {part.node for part in strip}
        found |= {source for part in strip for source in graph.by_name[part.node].inputs if source not in computed}
    return found


def stage_members(graph: QuantizedGraph, stage: Stage) -> tuple[QuantizedNode, ...]:
    """The nodes of a stage, in order."""
    names = list(graph.by_name)
    return graph.nodes[names.index(stage.first) : names.index(stage.last) + 1]


def _works_by_rows(graph: QuantizedGraph, node: QuantizedNode) -> bool:
    shapes = graph.input_shapes(node)
    if not node.inputs or node.operator.is_view or len(graph.shapes[node.name]) != 3:
        return False
    return _rows_of(node, range(graph.shapes[node.name][0]), shapes) is not None


def _rows_of(node: QuantizedNode, wanted: range, shapes: Sequence[Shape]) -> tuple[Variant, tuple[range, ...]] | None:
    """What computes rows ``wanted`` of the output, and the rows of each input that it reads; None where nothing does."""
    height = shapes[0][0]
    try:
        window = node.operator.row_window(HEIGHT, node.constants)
    except ValueError:
        return None
    if any(len(shape) != 3 or shape[0] != height for shape in shapes):
        return None
    seen = window.reads(wanted)
    reads = range(max(seen.start, 0), min(seen.stop, height))
    padding = RowPadding(max(-seen.start, 0), max(seen.stop - height, 0))
    operator, constants = node.operator.for_rows(HEIGHT, wanted, padding, node.constants)
    lower = tuple((len(reads), *shape[1:]) for shape in shapes)
    if constants is not node.constants or not reads:
        return None  # positions have constants of their own; or the windows see padding alone
    output = operator.output_shape(*lower)
    return (Variant(operator, lower, output), (reads,) * len(shapes)) if output[0] == len(wanted) else None


@dataclass
class _Work:
    """How far the strips have come: rows ``done`` of each layer, the row that each buffer begins with."""

    graph: QuantizedGraph
    members: Sequence[QuantizedNode]
    multiple: int
    outer: set[str] = field(default_factory=set)
    variants: dict[str, list[Variant]] = field(default_factory=dict)
    done: dict[str, int] = field(default_factory=dict)
    begin: dict[str, int] = field(default_factory=dict)
    #: The first row that each reader has read last, by (source, reader); the next that it reads is no earlier one.
    since: dict[tuple[str, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        inside = {node.name for node in self.members}
        read_outside = {source for n in self.graph.nodes if n.name not in inside for source in n.inputs}
        read_inside = {source for n in self.members for source in n.inputs}
        kept = read_outside | set(self.graph.outputs)
        self.outer = {name for name in inside if name in kept or name not in read_inside}
        self.variants = {node.name: [] for node in self.members}
        self.done, self.begin = dict.fromkeys(inside, 0), dict.fromkeys(inside, 0)
        self.since = {(source, node.name): 0 for node in self.members for source in node.inputs if source in inside}

    def strip(self, end: int, last: bool) -> tuple[Part, ...] | None:
        """The next strip, up to row ``end`` of the outputs; ``last``: all rows that are left of every layer."""
        needed: dict[str, int] = {}
        parts = []
        for node in reversed(self.members):
            name, shapes = node.name, self.graph.input_shapes(node)
            height = self.graph.shapes[name][0]
            stop = max(needed.get(name, 0), end if name in self.outer else 0, self.done[name])
            if name not in self.outer:
                stop = min(-(-stop // self.multiple) * self.multiple, height)
            writes = range(self.done[name], height if last else stop)
            if not writes:
                continue
            found = _rows_of(node, writes, shapes)
            if found is None:
                return None
            variant, reads = found
            firsts: dict[str, int] = {}
            for source, read in zip(node.inputs, reads, strict=True):
                needed[source] = max(needed.get(source, 0), read.stop)
                firsts[source] = min(firsts.get(source, read.start), read.start)
            self.since |= {(s, name): first for s, first in firsts.items() if (s, name) in self.since}
            known = self.variants[name]
            if variant not in known:
                known.append(variant)
            parts.append(self._part(name, known.index(variant), reads, writes))
        return tuple(reversed(parts))

    def _part(self, name: str, variant: int, reads: tuple[range, ...], writes: range) -> Part:
        before = self.begin[name]
        if name not in self.outer:
            again = min(first for (source, _), first in self.since.items() if source == name)
            self.begin[name] = min(again, writes.start)
        begin, self.done[name] = self.begin[name], writes.stop
        kept = 0 if name in self.outer else writes.start - begin
        return Part(name, variant, reads, writes, range(begin, writes.stop), kept, begin - before)


def aligned(graph: QuantizedGraph, schedule: Schedule) -> bool:
    """Does every part read and write from a multiple of four bytes on, as kernels expect?"""
    return not any(place % 4 for _, reads, writes in positions(graph, schedule) for place in (*reads, writes))


def positions(graph: QuantizedGraph, schedule: Schedule) -> Iterator[tuple[Part, tuple[int, ...], int]]:
    """Every part in the order of execution, with the bytes from its buffers' beginnings to what it reads and writes."""
    begin = dict.fromkeys(schedule.inner, 0)
    for strip in schedule.strips:
        for part in strip:
            if part.node in begin:
                begin[part.node] = part.held.start
            sources = zip(graph.by_name[part.node].inputs, part.reads, strict=True)
            read = tuple((rows.start - begin.get(name, 0)) * row_bytes(graph, name) for name, rows in sources)
            yield part, read, (part.writes.start - begin.get(part.node, 0)) * row_bytes(graph, part.node)
