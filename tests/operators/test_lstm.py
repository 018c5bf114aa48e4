"""Long short-term memory, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from ggdq_mcu.operators.lstm import LSTM
from operators.cases._recurrent import check_near_float


def test_float_is_the_recurrence() -> None:
    generator = np.random.default_rng(0)
    weights = {key: generator.normal(0, 1, shape) for key, shape in (("kernel", (2, 12)), ("recurrent", (3, 12)))}
    x, h, c = generator.normal(0, 1, (1, 4, 2)), np.zeros((1, 3)), np.zeros((1, 3))
    for t in range(4):
        i, f, g, o = np.split(x[:, t] @ weights["kernel"] + h @ weights["recurrent"], 4, axis=1)
        c = expit(f) * c + expit(i) * np.tanh(g)
        h = expit(o) * np.tanh(c)
    np.testing.assert_allclose(LSTM(units=3).compute([x], weights), h, rtol=1e-12)
    np.testing.assert_allclose(LSTM(units=3, cell_output=True).compute([x], weights), c, rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_integers_are_near_the_float_meaning(activation: str) -> None:
    check_near_float(LSTM(units=4, activation=activation, return_sequences=True), (16,))
