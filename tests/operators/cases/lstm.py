"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.lstm import LSTM
from operators.cases import Cases, Growth, Layer, keras_layer
from operators.cases._frameworks import SEQUENCE
from operators.cases._recurrent import Inside, check_recurrent, grown, onnx_sequences, recurrent_layers


def make(draw: Callable, **options: Any) -> LSTM:
    """With hidden states or cells as its output."""
    return LSTM(**options, cell_output=draw(st.booleans()))


def check(layer: Layer, found: np.ndarray) -> None:
    """The recurrence, number by number."""
    operator = layer.operator
    assert isinstance(operator, LSTM)

    def cell(x: Inside, unit: int, e: dict[str, int], states: list[list[int]]) -> list[int]:
        hidden, cells = states
        i, f, g, o = (x.z(gate * operator.units + unit, hidden) for gate in range(4))
        i, f, o = (x.look("gate_table", gate) for gate in (i, f, o))
        g = x.look("candidate_table", g)
        total = f * cells[unit] + ((i * g) >> (e["candidate"] - e["cell"]))
        assert abs(total) + (1 << 14) < 2**31
        c = x.sat(x.round(total, e["gate"]))
        return [x.sat(x.round(o * x.look("cell_table", c), e["gate"] + e["cell_output"] - e["hidden"])), c]

    check_recurrent(layer, found, cell)


CASES = Cases(
    layers=recurrent_layers(make),
    check=check,
    onnx=[*onnx_sequences("LSTM", 4, 2)],
    growth=Growth(grown(lambda draw, **options: LSTM(**options)), ranks=(2,), often=2),
    keras=[
        keras_layer(SEQUENCE, "LSTM", 4),
        keras_layer(SEQUENCE, "LSTM", 3, return_sequences=True, go_backwards=True),
    ],
)
