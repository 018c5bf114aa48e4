"""At which offsets do buffers with lifetimes need the least memory, if some of them may overlap?

The placement is optimal wherever it reaches the bound of ``demand``, which it nearly always does; else it is the best
of many greedy ones and, for few buffers, of a search through all orders. It depends on its arguments alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

ALIGNMENT = 4
FEW_MOVES, MANY_MOVES = 200, 3000  # greedy placements that are tried beyond the first few orders
_EXACT_BUFFERS = 14
_EXACT_PLACEMENTS = 20_000


@dataclass(frozen=True)
class Buffer:
    """Memory that must hold its content from step ``first`` to step ``last``, both included; ``size`` in bytes."""

    name: str
    size: int
    first: int
    last: int

    def meets(self, other: Buffer) -> bool:
        """Are both needed at some step?"""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Sharing:
    """Buffer ``output`` may overlap ``input`` where it begins ``lead`` bytes or more before it.

    The distance must be a multiple of ``multiple``; ``lead`` is one, and may be negative: then the output may begin behind
    the beginning of the input.
    """

    output: str
    input: str
    lead: int
    multiple: int = ALIGNMENT


def demand(buffers: Iterable[Buffer], sharings: Iterable[Sharing]) -> dict[int, int]:
    """For each step at which a buffer begins, bytes that it needs however buffers are placed."""
    buffers = tuple(buffers)
    size = {b.name: b.size for b in buffers}
    first, last = {b.name: b.first for b in buffers}, {b.name: b.last for b in buffers}
    total: dict[int, int] = {}
    for step in {b.first for b in buffers}:
        total[step] = sum(b.size for b in buffers if b.first <= step <= b.last)
    saved: dict[tuple[int, str], int] = {}
    for s in sharings:
        # Both together take what the larger takes, or the lead and the input.
        joint = max(size[s.output], size[s.input], s.lead + size[s.input])
        both = size[s.output] + size[s.input] - joint
        for step in range(max(first[s.output], first[s.input]), min(last[s.output], last[s.input]) + 1):
            saved[step, s.output] = saved.get((step, s.output), 0) + max(0, both)
    for (step, name), bytes_ in saved.items():
        if step in total:
            total[step] -= min(bytes_, size[name])
    return total


def place(buffers: Sequence[Buffer], sharings: Iterable[Sharing], moves: int = MANY_MOVES) -> dict[str, int]:
    """Offset of each buffer, by name; ``moves``: how often a better placement is looked for, where there may be one."""
    if not buffers:
        return {}
    sharings = tuple(sharings)
    problem = _Problem(buffers, sharings)
    needed = demand(buffers, sharings)
    bound = max(needed.values())
    worst = max(needed, key=lambda step: (needed[step], -step))
    orders = [
        sorted(buffers, key=lambda b: (-b.size, b.first, b.name)),
        sorted(buffers, key=lambda b: (-b.size * (b.last - b.first + 1), b.first, b.name)),
        sorted(buffers, key=lambda b: (not b.first <= worst <= b.last, -b.size, b.first, b.name)),
        sorted(buffers, key=lambda b: (-max(needed.get(t, 0) for t in range(b.first, b.last + 1)), -b.size, b.name)),
        sorted(buffers, key=lambda b: (b.first, -b.last, -b.size, b.name)),
        sorted(buffers, key=lambda b: (-b.last, b.first, -b.size, b.name)),
    ]
    order, best = [], None
    for candidate in orders:
        offsets = problem.greedy(candidate)
        if best is None or problem.size(offsets) < problem.size(best):
            order, best = candidate, offsets
        if problem.size(best) == bound:
            return best
    assert best is not None
    best = problem.improved(order, best, bound, moves)
    if problem.size(best) > bound and len(buffers) <= _EXACT_BUFFERS:
        best = problem.exact(best, bound)
    return best


class _Problem:
    """Buffers, those that each meets, and what the sharings allow for a pair."""

    def __init__(self, buffers: Sequence[Buffer], sharings: Iterable[Sharing]) -> None:
        self.buffers = {b.name: b for b in buffers}
        self.meeting = {a.name: [b.name for b in buffers if b is not a and a.meets(b)] for a in buffers}
        self.below = {(s.output, s.input): s for s in sharings}

    def size(self, offsets: Mapping[str, int]) -> int:
        """Bytes of the arena."""
        return max(offset + self.buffers[name].size for name, offset in offsets.items())

    def fits(self, name: str, offset: int, other: str, place: int) -> bool:
        """May the buffer lie at ``offset`` where the other one lies at ``place``?"""
        if offset + self.buffers[name].size <= place or place + self.buffers[other].size <= offset:
            return True
        as_output, as_input = self.below.get((name, other)), self.below.get((other, name))
        if as_output:
            distance = place - offset
            return distance >= as_output.lead and distance % as_output.multiple == 0
        if as_input:
            distance = offset - place
            return distance >= as_input.lead and distance % as_input.multiple == 0
        return False

    def lowest(self, name: str, offsets: Mapping[str, int], least: int = 0) -> int:
        """The lowest offset from ``least`` on that fits all buffers that are placed."""
        placed = [(other, offsets[other]) for other in self.meeting[name] if other in offsets]
        candidates = {least}
        for other, place in placed:
            candidates.add(place + self.buffers[other].size)
            above = self.below.get((other, name))
            if above:
                candidates.add(place + above.lead)
        for other, place in placed:
            sharing = self.below.get((name, other)) or self.below.get((other, name))
            if sharing and sharing.multiple != ALIGNMENT:
                candidates |= {c + (place - c) % sharing.multiple for c in candidates}
        return next(
            offset
            for offset in sorted(candidates)
            if offset >= least and all(self.fits(name, offset, other, place) for other, place in placed)
        )

    def greedy(self, order: Iterable[Buffer]) -> dict[str, int]:
        """Each buffer at the lowest offset that those before it leave."""
        offsets: dict[str, int] = {}
        for buffer in order:
            offsets[buffer.name] = self.lowest(buffer.name, offsets)
        return offsets

    def improved(self, order: list[Buffer], best: dict[str, int], bound: int, moves: int) -> dict[str, int]:
        """A better placement by moving single buffers in the order, if there is one."""
        generator = random.Random(len(order))
        size = self.size(best)
        for _ in range(moves):
            if size == bound:
                break
            candidate = list(order)
            # What lies at the top is what makes the arena large: place it, or anything, earlier.
            top = [b for b in order if best[b.name] + b.size == size]
            moved = generator.choice(top if generator.random() < 0.5 else order)
            candidate.remove(moved)
            candidate.insert(generator.randrange(len(order)), moved)
            offsets = self.greedy(candidate)
            if self.size(offsets) <= size:
                order, best, size = candidate, offsets, self.size(offsets)
        return best

    def exact(self, best: dict[str, int], bound: int) -> dict[str, int]:
        """Branch and bound over all orders of ascending offsets, as far as the limit on placements goes.

        In a smallest arena pushed down as far as it goes, every buffer lies at the lowest offset that the buffers below
        it leave; so it is among the placements seen here.
        """
        left = _EXACT_PLACEMENTS

        def search(offsets: dict[str, int], floor: int) -> None:
            nonlocal best, left
            if len(offsets) == len(self.buffers):
                best = dict(offsets)
                return
            options = []
            for name, buffer in self.buffers.items():
                if name not in offsets:
                    offset = self.lowest(name, offsets, floor)
                    if offset + buffer.size >= self.size(best):
                        return  # it cannot get lower any more
                    options.append((offset, -buffer.size, name))
            for offset, _, name in sorted(options):
                if left <= 0 or self.size(best) <= bound:
                    return
                left -= 1
                search(offsets | {name: offset}, offset)

        search({}, 0)
        return best
