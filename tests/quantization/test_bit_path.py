"""Bits are given up in the best order: against all assignments there are."""

from __future__ import annotations

from itertools import pairwise, product

from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.quantization.bit_path import Choice, hull, path

choice = st.tuples(st.integers(1, 30), st.integers(0, 30))
tensors = st.lists(st.lists(choice, min_size=1, max_size=4), min_size=1, max_size=4)


def made(lists: list[list[tuple[int, int]]]) -> dict[str, list[Choice]]:
    return {f"t{i}": [Choice(j, *pair) for j, pair in enumerate(pairs)] for i, pairs in enumerate(lists)}


@given(tensors)
def test_no_assignment_has_less_of_both_memory_and_noise(lists: list[list[tuple[int, int]]]) -> None:
    choices = made(lists)
    every = [(sum(c.memory for c in some), sum(c.noise for c in some)) for some in product(*choices.values())]
    for chosen in path(choices):
        memory = sum(choices[name][i].memory for name, i in chosen.items())
        noise = sum(choices[name][i].noise for name, i in chosen.items())
        assert not any(m <= memory and n <= noise and (m, n) != (memory, noise) for m, n in every)


@given(tensors)
def test_the_way_leads_from_least_noise_to_least_memory_one_tensor_at_a_time(
    lists: list[list[tuple[int, int]]],
) -> None:
    choices = made(lists)
    states = list(path(choices))
    assert sum(choices[n][i].noise for n, i in states[0].items()) == sum(
        min(c.noise for c in x) for x in choices.values()
    )
    assert sum(choices[n][i].memory for n, i in states[-1].items()) == sum(
        min(c.memory for c in x) for x in choices.values()
    )
    for before, after in pairwise(states):
        assert sum(before[name] != after[name] for name in choices) == 1
        changed = next(name for name in choices if before[name] != after[name])
        assert choices[changed][after[changed]].memory < choices[changed][before[changed]].memory


def test_what_lies_above_the_hull_is_left_out() -> None:
    kept = hull([Choice(0, 8, 0.0), Choice(1, 4, 9.0), Choice(2, 2, 10.0), Choice(3, 4, 20.0)])
    assert [c.index for c in kept] == [0, 2]
