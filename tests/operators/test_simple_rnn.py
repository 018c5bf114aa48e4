"""Simple recurrent layers, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.operators.simple_rnn import SimpleRNN
from operators.cases._recurrent import check_near_float


def test_float_is_the_recurrence_forwards_and_backwards() -> None:
    generator = np.random.default_rng(0)
    weights = {"kernel": generator.normal(0, 1, (2, 3)), "recurrent": generator.normal(0, 1, (3, 3))}
    x, h, rows = generator.normal(0, 1, (1, 4, 2)), np.zeros((1, 3)), []
    for t in range(4):
        h = np.tanh(x[:, t] @ weights["kernel"] + h @ weights["recurrent"])
        rows.append(h)
    sequence = np.stack(rows, axis=1)
    options = {"units": 3, "return_sequences": True}
    np.testing.assert_allclose(SimpleRNN(**options).compute([x], weights), sequence, rtol=1e-12)
    backwards = SimpleRNN(**options, go_backwards=True)
    np.testing.assert_allclose(backwards.compute([x[:, ::-1]], weights), sequence, rtol=1e-12)
    ordered = SimpleRNN(**options, go_backwards=True, input_order=True)
    np.testing.assert_allclose(ordered.compute([x[:, ::-1]], weights), sequence[:, ::-1], rtol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu", "sigmoid"])
def test_integers_are_near_the_float_meaning(activation: str) -> None:
    check_near_float(SimpleRNN(units=4, activation=activation, return_sequences=True), (4,))


def test_values_that_no_step_can_hold_are_an_error() -> None:
    with pytest.raises(GgdqError, match="scale the network's input"):
        SimpleRNN(units=1, activation="relu").exponents({"candidate_sum": 1e6, "hidden": 1e6})
