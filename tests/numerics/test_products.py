"""Products and sums: the same bits in any order, and close to the exact result for factors of any range."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.numerics import products
from ggdq_mcu.numerics.noise import Noise
from ggdq_mcu.numerics.products import Left, between, product, with_whole
from ggdq_mcu.numerics.solvers import cholesky, solve, solve_shifted
from ggdq_mcu.numerics.sums import mean, total


@st.composite
def factors(draw):
    """x (N, M, K) and w (K, F), float32, whose channels and columns differ in size by up to 2^40."""
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    n, m, k, f = (draw(st.integers(1, most)) for most in (4, 5, 60, 6))
    wide = draw(st.sampled_from([0, 4, 20]))
    x = random.normal(size=(n, m, k)) * np.exp2(random.integers(-wide, wide + 1, k))
    w = random.normal(size=(k, f)) * np.exp2(random.integers(-wide, wide + 1, (k, f)))
    w[random.random(w.shape) < draw(st.sampled_from([0.0, 0.9]))] = 0
    return x.astype(np.float32), w.astype(np.float32)


@settings(deadline=None)
@given(factors(), st.randoms(use_true_random=False))
def test_terms_have_the_same_bits_in_any_order(both, shuffle) -> None:
    x, w = both
    order = list(range(x.shape[-1]))
    shuffle.shuffle(order)
    np.testing.assert_array_equal(product(x[..., order], w[order]), product(x, w))


@settings(deadline=None)
@given(factors())
def test_the_error_is_within_what_is_promised(both) -> None:
    x, w = (part.astype(np.float64) for part in both)
    found, exact = product(*both), x @ w
    allowed = np.abs(exact).max(axis=1, keepdims=True) * 2.0**-products.BITS + 1e-6 * np.abs(exact)
    assert np.all(np.abs(found - exact) <= allowed)


@settings(deadline=None)
@given(factors())
def test_no_sample_depends_on_the_others(both) -> None:
    x, w = both
    np.testing.assert_array_equal(product(x, w), np.concatenate([product(x[i : i + 1], w) for i in range(len(x))]))


def test_an_identity_keeps_channels_that_are_small_beside_others() -> None:
    x = np.array([[[1e8, 1.0, 1e-6], [3e8, -2.0, 2e-6]]], np.float32)
    np.testing.assert_allclose(product(x, np.eye(3, dtype=np.float32)), x, 1e-4)


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e300])
def test_what_cannot_be_split_is_multiplied_as_it_is(value: float) -> None:
    x, w = np.array([[value, 1.0]]), np.array([[1.0], [2.0]])
    np.testing.assert_array_equal(product(x, w), x @ w)


@settings(deadline=None)
@given(factors(), st.randoms(use_true_random=False))
def test_stacks_of_matrices(both, shuffle) -> None:
    x, w = both
    stack = np.stack([w * (i + 1) for i in range(len(x))])
    order = list(range(x.shape[-1]))
    shuffle.shuffle(order)
    found = between(x, stack, 30)
    np.testing.assert_array_equal(between(x[..., order], stack[:, order], 30), found)
    scale = np.abs(found).max(axis=1, keepdims=True)
    assert np.all(np.abs(found - x.astype(np.float64) @ stack) <= 1e-6 * scale)
    np.testing.assert_array_equal(Left(x).times(stack, 30).astype(np.float32), found)


@settings(deadline=None)
@given(factors(), st.integers(1, 65535))
def test_whole_numbers_times_real_ones(both, most: int) -> None:
    _, w = both
    x = np.random.default_rng(most).integers(-most, most + 1, (7, len(w))).astype(np.float32)
    turned = np.arange(len(w))[::-1]
    np.testing.assert_array_equal(with_whole(x[:, turned], w[turned]), with_whole(x, w))
    allowed = np.abs(x).max() * np.abs(w).sum(axis=0) * 2.0**-30 + 1e-30
    assert np.all(np.abs(with_whole(x, w) - x.astype(np.float64) @ w) <= allowed)


@settings(deadline=None)
@given(st.integers(1, 300), st.integers(1, 4), st.integers(0, 99))
def test_sums_add_halves(count: int, rows: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, count)) * 10.0 ** np.arange(rows)[:, None]
    exact = np.array([float(sum(map(Fraction, row), Fraction(0))) for row in values])
    np.testing.assert_allclose(total(values, 1), exact, 0, 1e-14 * np.abs(values).sum(axis=1).max())
    np.testing.assert_array_equal(total(values, -1), total(np.ascontiguousarray(values.T), 0))
    assert total(values, 1, keepdims=True).shape == (rows, 1)
    np.testing.assert_array_equal(mean(values, 1), total(values, 1) / count)
    assert total(values) == pytest.approx(exact.sum(), abs=1e-13 * np.abs(values).sum())


def test_whole_numbers_are_added_as_such() -> None:
    assert total(np.full(5, 2**60, np.int64)) == 5 * 2**60
    assert total(np.zeros((0, 3)), 0).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("groups", "count"), [(3, 9), (1, 130)])
def test_linear_systems(groups: int, count: int) -> None:
    random = np.random.default_rng(count)
    rows = random.normal(size=(groups, 3 * count, count)) @ (random.normal(size=(groups, count, count)))
    matrices = rows.transpose(0, 2, 1) @ rows / count + 0.1 * np.eye(count)
    right = random.normal(size=(groups, count, 4))
    lower = cholesky(matrices)
    np.testing.assert_allclose(lower @ lower.transpose(0, 2, 1), matrices, 0, 1e-9 * np.abs(matrices).max())
    np.testing.assert_allclose(matrices @ solve(matrices, right), right, 0, 1e-6)
    shifts = np.array([0.01, 1.0, 100.0])[:, None] * np.trace(matrices, axis1=1, axis2=2) / count
    found = solve_shifted(matrices, right, shifts)
    for shift, x in zip(shifts, found, strict=True):
        left = (matrices + shift[:, None, None] * np.eye(count)) @ x - right
        assert np.abs(left).max() < 2e-3


def test_noise_is_normal_and_fixed() -> None:
    drawn = Noise(1).normal((200, 500))
    assert abs(drawn.mean()) < 0.02
    assert abs(drawn.std() - 1) < 0.02
    assert abs((np.abs(drawn) > 2).mean() - 0.0455) < 0.003
    whole = Noise(2).integers(-3, 4, (5000,))
    assert set(whole.tolist()) == set(range(-3, 5))
    assert Noise(0).integers(0, 255, (6,)).tolist() == Noise(0).integers(0, 255, (2, 3)).ravel().tolist()
