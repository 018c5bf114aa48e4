"""Batch normalisation by its definition."""

from __future__ import annotations

import numpy as np

from ggdq_mcu.operators.batch_normalization import BatchNormalization

X = np.random.default_rng(0).normal(0, 1, (4, 3, 2))
WEIGHTS = {
    name: np.random.default_rng(i).uniform(0.5, 2, 2) for i, name in enumerate(["gamma", "beta", "mean", "variance"])
}


def test_float_is_the_definition() -> None:
    normal = (X - WEIGHTS["mean"]) / np.sqrt(WEIGHTS["variance"] + 0.1)
    found = BatchNormalization(0.1).compute([X], WEIGHTS)
    np.testing.assert_allclose(found, normal * WEIGHTS["gamma"] + WEIGHTS["beta"], rtol=1e-12)


def test_gamma_and_beta_may_be_missing() -> None:
    weights = {name: WEIGHTS[name] for name in ("mean", "variance")}
    full = {**weights, "gamma": np.ones(2), "beta": np.zeros(2)}
    operator = BatchNormalization(0.1)
    np.testing.assert_array_equal(operator.compute([X], weights), operator.compute([X], full))
    for some, all_ in zip(operator.statistics(weights), operator.statistics(full), strict=True):
        np.testing.assert_array_equal(some, all_)
