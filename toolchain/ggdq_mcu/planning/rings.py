"""What does a stream ask of memory and kernels? Rings with room to slide, whole words, one packing of a layer's weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.step import Ring, StepGraph
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.planning.arena import storage, view_starts

_WORD = 4
#: Instructions for a byte that goes back to the start of a ring, in words and byte by byte.
_COPIED, _COPIED_BY_BYTES = 1.0, 5.0


@dataclass(frozen=True)
class RingMemory:
    """A ring and ``spare`` rows of memory behind it: its rows slide through them, and go back to the start at the end.

    The more spare rows, the more seldom rows are copied: what a step leaves in its place need not move.
    """

    ring: Ring
    spare: int

    @property
    def rows(self) -> int:
        """Rows of memory."""
        return self.ring.rows + self.spare

    @property
    def bytes(self) -> int:
        """Bytes of memory, in whole words of eight bytes as they are aligned."""
        return -(-self.rows * self.ring.row_bytes // 8) * 8

    @property
    def in_words(self) -> bool:
        """Do the rows of a step take whole words?"""
        return self.ring.moves * self.ring.row_bytes % _WORD == 0

    @property
    def moved(self) -> range:
        """The bytes that are copied when a window goes back to the start: its rows that stay, in whole words if may be.

        The rows beside them are computed in every step, so it does no harm to copy some of them too.
        """
        start, stop = (row * self.ring.row_bytes for row in (self.ring.kept.start, self.ring.kept.stop))
        return range(start // _WORD * _WORD, -(-stop // _WORD) * _WORD) if self.in_words else range(start, stop)

    @property
    def instructions(self) -> float:
        """What a step copies, on average."""
        turns = self.spare // self.ring.moves + 1 if self.ring.moves else 1
        return len(self.moved) * (_COPIED if self.in_words else _COPIED_BY_BYTES) / turns


def ring_memory(step: StepGraph, spare: float) -> tuple[RingMemory, ...]:
    """The memory of all rings, with ``spare`` rows for each that they hold."""
    return tuple(RingMemory(ring, _spare_rows(ring, spare)) for ring in step.rings)


def usable(node: QuantizedNode, graph: QuantizedGraph, core: Core) -> list[Kernel]:
    """The kernels of a node; the portable one where values may lie across words on a core that cannot read them so."""
    kernels = kernels_of(graph.layer(node), core)
    if core.multiplier != "single" or not isinstance(graph, StepGraph):
        return kernels
    across = any(_across(name, graph) for name in (*node.inputs, node.name))
    return kernels[:1] if across else kernels


def alike(candidates: Mapping[str, list[Kernel]], graph: QuantizedGraph) -> dict[str, list[Kernel]]:
    """The candidates, where parts of one layer use the same kernel: their weights are then in the flash once."""
    parts: dict[str, list[str]] = {}
    layer_of = graph.layer_of if isinstance(graph, StepGraph) else {}
    for name in candidates:
        parts.setdefault(layer_of.get(name, name), []).append(name)
    result = dict(candidates)
    for names in parts.values():
        if len(names) > 1:
            result |= _same(names, candidates)
    return {name: result[name] for name in candidates}


def _same(names: Sequence[str], candidates: Mapping[str, list[Kernel]]) -> dict[str, list[Kernel]]:
    by_name = [{kernel.name: kernel for kernel in candidates[name]} for name in names]
    shared = [kernel for kernel in by_name[0] if all(kernel in options for options in by_name)]
    if not shared:
        return {}
    best = min(shared, key=lambda kernel: sum(options[kernel].instructions for options in by_name))
    return {name: [options[best]] for name, options in zip(names, by_name, strict=True)}


def _spare_rows(ring: Ring, spare: float) -> int:
    """Whole steps of rows; none where nothing would have to move."""
    return int(spare * ring.rows) // ring.moves * ring.moves if ring.kept else 0


def _across(name: str, graph: StepGraph) -> bool:
    """May the value begin within a word?"""
    holder, starts = storage(graph)[name], view_starts(graph)[name]
    place = graph.placed.get(holder)
    size = graph.by_name[name].format.storage_bits // 8
    if place is None:
        return starts * size % _WORD != 0
    ring = next(ring for ring in graph.rings if ring.name == place.ring)
    return (place.element + starts) * size % _WORD != 0 or not RingMemory(ring, 0).in_words
