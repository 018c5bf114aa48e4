"""Adaptive rounding: never worse than the nearest integers, and near the best there are."""

from __future__ import annotations

from itertools import product

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.numerics.products import Left
from ggdq_mcu.quantization.rounding import output_error, round_adaptively


@st.composite
def problems(draw, products: int = 6):
    """Targets (G, K, F) and Gram matrices (G, K, K) of inputs that vary together, and the integers' bounds."""
    generator = np.random.default_rng(draw(st.integers(0, 9999)))
    groups, count, filters = draw(st.integers(1, 3)), draw(st.integers(1, products)), draw(st.integers(1, 4))
    rows = generator.normal(size=(groups, 3 * count, 1)) * draw(st.floats(0, 5)) + generator.normal(
        size=(groups, 3 * count, count)
    )
    gram = rows.transpose(0, 2, 1) @ rows + 1e-3 * np.eye(count)
    bits = draw(st.integers(2, 8))
    target = generator.normal(size=(groups, count, filters)) * draw(st.sampled_from([0.1, 1.0, 2.0**bits]))
    return target, gram, -(1 << (bits - 1)), (1 << (bits - 1)) - 1


def error(difference: np.ndarray, gram: np.ndarray) -> np.ndarray:
    return output_error(difference, Left(np.broadcast_to(gram, (len(difference), *gram.shape[-2:]))))


def nearest(target: np.ndarray, low: int, high: int) -> np.ndarray:
    return np.clip(np.floor(target + 0.5), low, high)


@settings(deadline=None)
@given(problems(20))
def test_never_worse_than_the_nearest_integers(problem) -> None:
    target, gram, low, high = problem
    found = round_adaptively(target, gram, low, high)
    assert np.all(error(found - target, gram) <= error(nearest(target, low, high) - target, gram) * (1 + 1e-8))


@settings(deadline=None)
@given(problems(20))
def test_results_are_integers_within_the_bounds(problem) -> None:
    target, gram, low, high = problem
    found = round_adaptively(target, gram, low, high)
    np.testing.assert_array_equal(found, np.round(found))
    assert found.min() >= low
    assert found.max() <= high


@settings(deadline=None)
@given(problems())
def test_inputs_that_do_not_vary_together_ask_for_the_nearest(problem) -> None:
    target, gram, low, high = problem
    diagonal = np.eye(target.shape[1]) * np.arange(1, target.shape[1] + 1)
    found = round_adaptively(target, np.broadcast_to(diagonal, gram.shape), low, high)
    np.testing.assert_allclose(error(found - target, diagonal), error(nearest(target, low, high) - target, diagonal))


def test_two_equal_inputs_share_what_neither_can_hold() -> None:
    """The sum of both weights is what matters: 0.5 + 0.5 is 1 + 0, not 1 + 1."""
    gram = np.ones((1, 2, 2)) + 1e-6 * np.eye(2)
    found = round_adaptively(np.full((1, 2, 1), 0.5), gram, -8, 7)
    assert found.sum() == 1


def test_most_of_what_rounding_to_nearest_loses_is_won_back() -> None:
    """Against the best of all integers around the target, over two hundred layers of four weights."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(200, 12, 4)) + 2 * generator.normal(size=(200, 12, 1))
    gram, target = rows.transpose(0, 2, 1) @ rows, generator.uniform(-6, 6, (200, 4, 1))
    found = error(round_adaptively(target, gram, -8, 7) - target, gram)
    around = (np.floor(target) + np.reshape(change, (1, -1, 1)) for change in product(range(-1, 3), repeat=4))
    best = np.min([error(np.clip(q, -8, 7) - target, gram) for q in around], axis=0)
    lost = error(nearest(target, -8, 7) - target, gram) - best
    assert np.mean(found - best) < 0.1 * np.mean(lost)


def test_a_target_of_integers_stays() -> None:
    target = np.arange(-4, 4, dtype=float).reshape(1, 8, 1)
    rows = np.random.default_rng(0).normal(size=(50, 8))
    np.testing.assert_array_equal(round_adaptively(target, (rows.T @ rows)[None], -4, 3), target)
