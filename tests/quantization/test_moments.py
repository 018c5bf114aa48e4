"""Positions and moments of a linear layer, against their definitions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import linear

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.quantization import moments
from ggdq_mcu.quantization.moments import Positions, blocks_of, covariance, moments_of, outputs, shrunk, some_positions

GENERATOR = np.random.default_rng(3)
KINDS = st.sampled_from(["conv", "pointwise", "depthwise"])


def operator_of(kind: str, channels: int) -> Linear:
    operator = linear(GENERATOR, kind, channels, "layer", "image").operator
    assert isinstance(operator, Linear)
    return operator


@settings(deadline=None)
@given(kind=KINDS, seed=st.integers(0, 99), zero=st.integers(-5, 5), count=st.integers(1, 9))
def test_a_few_samples_are_taken_whole(kind: str, seed: int, zero: int, count: int) -> None:
    operator, generator = operator_of(kind, 4), np.random.default_rng(seed)
    q = generator.integers(-8, 8, (count, 5, 4, 4))
    wanted = generator.normal(size=(count, 5, 4, 4)).astype(np.float32)
    found = some_positions(operator, q, wanted, zero)
    columns = operator.columns((q - zero).astype(np.float64), 0.0)
    np.testing.assert_array_equal(found.x, np.stack([c.reshape(-1, c.shape[-1]) for c in columns]))
    groups = len(columns)
    np.testing.assert_array_equal(found.y.transpose(1, 0, 2).reshape(wanted.shape), wanted)
    assert found.y.shape == (groups, count * 20, 4 // groups)


@settings(deadline=None)
@given(kind=KINDS, count=st.integers(1, 40), height=st.integers(1, 12))
def test_many_positions_are_thinned_out_over_all_rows_and_samples(kind: str, count: int, height: int) -> None:
    operator = operator_of(kind, 4)
    q = np.broadcast_to(
        np.arange(count)[:, None, None, None] * 100 + np.arange(height)[:, None, None], (count, height, 3, 4)
    )
    wanted = q.astype(np.float32)
    fewest, per_product = moments._FEWEST_ROWS, moments._ROWS_PER_PRODUCT
    moments._FEWEST_ROWS, moments._ROWS_PER_PRODUCT = 60, 0
    try:
        found = some_positions(operator, q, wanted, 0)
    finally:
        moments._FEWEST_ROWS, moments._ROWS_PER_PRODUCT = fewest, per_product
    rows = found.y.shape[1]
    assert rows <= 4 * 60 + 3 * height
    assert rows >= min(60, count * height * 3) / 4
    # What is read and what is wanted belong to the same position: the window's middle is the position itself.
    middle = found.x.reshape(*found.x.shape[:2], -1)[0, :, found.x.shape[2] // 2]
    np.testing.assert_array_equal(middle, found.y[0, :, 0])


def test_a_dense_layer_on_rows_takes_rows_apart() -> None:
    operator = operator_of("dense", 4)
    q = GENERATOR.integers(0, 9, (3, 7, 4))
    found = some_positions(operator, q, q.astype(np.float32), 0)
    np.testing.assert_array_equal(found.x[0], q.reshape(-1, 4))


def test_moments_are_means_and_covariances() -> None:
    x, y = GENERATOR.normal(2, 1, (3, 500, 5)), GENERATOR.normal(-1, 2, (3, 500, 2))
    found = moments_of(Positions(x.astype(np.float32), y.astype(np.float32)))
    for group in range(3):
        joint = np.cov(np.hstack([x[group], y[group]]).T, bias=True)
        np.testing.assert_allclose(found.gram[group], joint[:5, :5], atol=1e-5)
        np.testing.assert_allclose(found.cross[group], joint[:5, 5:], atol=1e-5)


def test_constant_inputs_do_not_vary() -> None:
    found = moments_of(Positions(np.full((1, 50, 3), 255, np.float32), np.full((1, 50, 2), -7.5, np.float32)))
    assert not found.gram.any()
    assert not found.cross.any()


def test_strided_layers_pair_rows_correctly() -> None:
    operator = replace(operator_of("pointwise", 4), strides=Size(2, 2))
    q = np.broadcast_to(np.arange(8)[:, None, None], (2, 8, 8, 4))
    wanted = q[:, ::2, ::2].astype(np.float32)
    found = some_positions(operator, q, wanted, 0)
    np.testing.assert_array_equal(found.x[0, :, 0], found.y[0, :, 0])


def test_folds_make_up_the_whole() -> None:
    x, y = GENERATOR.normal(2, 1, (2, 403, 5)), GENERATOR.normal(-1, 2, (2, 403, 3))
    found = moments_of(Positions(x.astype(np.float32), y.astype(np.float32)))
    shares = np.diff([403 * i // len(found.folds) for i in range(len(found.folds) + 1)]) / 403
    np.testing.assert_allclose(np.average([f.gram for f in found.folds], axis=0, weights=shares), found.gram)
    np.testing.assert_allclose(np.average([f.cross for f in found.folds], axis=0, weights=shares), found.cross)
    np.testing.assert_allclose(covariance(x.astype(np.float32), y.astype(np.float32)), found.cross, atol=1e-6)


def test_covariances_shrink_as_far_as_the_folds_disagree() -> None:
    truth = np.array([[4.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    generator, distances = np.random.default_rng(5), []
    for count in (12, 20_000):
        x = generator.multivariate_normal(np.zeros(3), truth, (200, count)).astype(np.float32)
        found = moments_of(Positions(x, x[..., :1]))
        before, after = (np.mean((gram - truth) ** 2) for gram in (found.gram, shrunk(found)))
        distances.append(after / before)
        np.testing.assert_allclose(*(np.diagonal(gram, axis1=1, axis2=2) for gram in (found.gram, shrunk(found))))
    assert distances[0] < 0.95  # a tenth nearer with three products; the more there are, the more there is to gain
    assert abs(distances[1] - 1) < 0.05


def test_what_does_not_vary_shrinks_to_nothing() -> None:
    positions = Positions(np.full((1, 50, 3), 255, np.float32), np.full((1, 50, 2), -7.5, np.float32))
    assert not shrunk(moments_of(positions)).any()


@given(st.integers(1, 200_000))
def test_blocks_are_all_products_and_their_gram_matrices_are_bounded(products: int) -> None:
    blocks = blocks_of(products)
    assert [blocks[0].start, *(b.stop for b in blocks)] == [*(b.start for b in blocks), products]
    assert sum((b.stop - b.start) ** 2 for b in blocks) <= moments._LARGEST_GRAMS + products
    assert len(blocks) == 1 or products > moments._LARGEST_BLOCK


def test_blocks_of_products_give_the_outputs_together() -> None:
    positions = Positions(GENERATOR.normal(size=(2, 30, 7)).astype(np.float32), np.zeros((2, 30, 3), np.float32))
    matrices = GENERATOR.normal(size=(2, 7, 3))
    parts = outputs(positions, matrices, slice(3)) + outputs(positions, matrices, slice(3, 7))
    np.testing.assert_allclose(parts, outputs(positions, matrices), atol=1e-5)
