"""No buffer loses a byte while it is needed, whatever the graph; and small arenas are as small as they can be."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu.planning.placement import ALIGNMENT, Buffer, Sharing, demand, place

SEEDS = range(500)


def random_problem(seed: int, most: int = 40) -> tuple[tuple[Buffer, ...], tuple[Sharing, ...]]:
    """Lifetimes as layers give them: each step makes a buffer, perhaps with scratch, perhaps over one that ends."""
    generator = random.Random(seed)
    steps = generator.randint(1, most)
    last = {step: min(steps - 1, step + generator.choice([0, 1, 1, 1, 2, 3, 9])) for step in range(steps)}
    sizes = [
        ALIGNMENT * generator.choice([1, generator.randint(1, 60), generator.randint(1, 5000)]) for _ in range(steps)
    ]
    buffers = [Buffer(f"b{step}", sizes[step], step, last[step]) for step in range(steps)]
    sharings = []
    for step in range(steps):
        if generator.random() < 0.5:
            buffers.append(Buffer(f"b{step}/scratch", ALIGNMENT * generator.randint(1, 500), step, step))
        for source in range(step):
            if last[source] == step and generator.random() < 0.6:
                multiple = ALIGNMENT * generator.choice([1, 1, 1, 2, 3, 16])
                lead = multiple * generator.choice([0, 0, 1, generator.randint(0, 100)])
                sharings.append(Sharing(f"b{step}", f"b{source}", lead, multiple))
    generator.shuffle(buffers)
    return tuple(buffers), tuple(sharings)


def check(buffers: tuple[Buffer, ...], sharings: tuple[Sharing, ...], offsets: dict[str, int]) -> None:
    """Run the layers on a memory of bytes: each writes its number, and all that it reads must be as it was written.

    What a layer writes over is the end of an input that the sharing allows, at an allowed distance.
    """
    size = max(offsets[b.name] + b.size for b in buffers)
    memory = [""] * size
    allowed = {(s.output, s.input): s for s in sharings}

    def held(buffer: Buffer) -> set[str]:
        return set(memory[offsets[buffer.name] : offsets[buffer.name] + buffer.size])

    for step in range(max(b.last for b in buffers) + 1):
        alive = [b for b in buffers if b.first < step <= b.last]
        for buffer in alive:
            assert held(buffer) == {buffer.name}, f"step {step} finds {buffer.name} damaged"
        written: set[int] = set()
        for buffer in (b for b in buffers if b.first == step):
            assert offsets[buffer.name] % ALIGNMENT == 0
            assert offsets[buffer.name] >= 0
            span = range(offsets[buffer.name], offsets[buffer.name] + buffer.size)
            assert written.isdisjoint(span), f"step {step} writes {buffer.name} over another output"
            written |= set(span)
            for other in alive:
                inside = range(offsets[other.name], offsets[other.name] + other.size)
                if set(span) & set(inside):
                    sharing = allowed[buffer.name, other.name]
                    distance = inside.start - span.start
                    assert other.last == step
                    assert distance >= sharing.lead
                    assert distance % sharing.multiple == 0
            memory[span.start : span.stop] = [buffer.name] * buffer.size


@pytest.mark.parametrize("seed", SEEDS)
def test_random_graphs_keep_their_bytes(seed: int) -> None:
    buffers, sharings = random_problem(seed)
    small = tuple(Buffer(b.name, -(-b.size // 40) * ALIGNMENT, b.first, b.last) for b in buffers)  # bytes to simulate
    check(small, sharings, place(small, sharings))


@settings(max_examples=drawn(200), deadline=None)
@given(st.integers(0, 10**9))
def test_no_arena_is_below_what_its_steps_need(seed: int) -> None:
    buffers, sharings = random_problem(seed, most=12)
    offsets = place(buffers, sharings)
    assert max(offsets[b.name] + b.size for b in buffers) >= max(demand(buffers, sharings).values())


@settings(max_examples=drawn(150), deadline=None)
@given(st.integers(0, 10**9))
def test_few_buffers_are_placed_as_well_as_any_order_places_them(seed: int) -> None:
    """Without sharing the best of all orders is the optimum."""
    buffers = random_problem(seed, most=5)[0][:6]

    def lowest(order: tuple[Buffer, ...]) -> int:
        placed: list[tuple[Buffer, int]] = []
        for buffer in order:
            meeting = sorted((o, o + b.size) for b, o in placed if b.meets(buffer))
            offset = 0
            for start, end in meeting:
                if start - offset < buffer.size:
                    offset = max(offset, end)
            placed.append((buffer, offset))
        return max(o + b.size for b, o in placed)

    offsets = place(buffers, ())
    assert max(offsets[b.name] + b.size for b in buffers) == min(map(lowest, itertools.permutations(buffers)))


def test_an_output_over_its_input_takes_no_more_than_the_larger() -> None:
    buffers = (Buffer("a", 100, 0, 1), Buffer("b", 80, 1, 2))
    assert place(buffers, [Sharing("b", "a", 0)]) == {"a": 0, "b": 0}


def test_a_lead_is_all_that_a_growing_output_costs() -> None:
    buffers = (Buffer("a", 100, 0, 1), Buffer("b", 160, 1, 2))
    offsets = place(buffers, [Sharing("b", "a", 72)])
    assert offsets["a"] - offsets["b"] >= 72
    assert max(offsets["a"] + 100, offsets["b"] + 160) == 172


def test_the_same_problem_has_the_same_answer() -> None:
    buffers, sharings = random_problem(7)
    assert place(buffers, sharings) == place(buffers, sharings)
