"""Gated recurrent units, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from ggdq_mcu.operators.gru import GRU
from operators.cases._recurrent import check_near_float


@pytest.mark.parametrize("reset_after", [False, True])
def test_float_is_the_recurrence(reset_after: bool) -> None:
    generator = np.random.default_rng(0)
    kernel, recurrent = generator.normal(0, 1, (2, 9)), generator.normal(0, 1, (3, 9))
    bias = generator.normal(0, 1, (2, 9) if reset_after else 9)
    x, h = generator.normal(0, 1, (1, 4, 2)), np.zeros((1, 3))
    first, second = bias if reset_after else (bias, np.zeros(9))
    for t in range(4):
        of_input = x[:, t] @ kernel + first
        of_state = h @ recurrent + second
        u, r = expit(of_input[:, :3] + of_state[:, :3]), expit(of_input[:, 3:6] + of_state[:, 3:6])
        inner = r * of_state[:, 6:] if reset_after else (r * h) @ recurrent[:, 6:]
        h = u * h + (1 - u) * np.tanh(of_input[:, 6:] + inner)
    weights = {"kernel": kernel, "recurrent": recurrent, "bias": bias}
    np.testing.assert_allclose(GRU(units=3, reset_after=reset_after).compute([x], weights), h, rtol=1e-12)


@pytest.mark.parametrize("reset_after", [False, True])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_integers_are_near_the_float_meaning(activation: str, reset_after: bool) -> None:
    operator = GRU(units=4, activation=activation, return_sequences=True, reset_after=reset_after)
    check_near_float(operator, (2, 12) if reset_after else (12,))
