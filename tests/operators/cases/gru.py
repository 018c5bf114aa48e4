"""Gated recurrent units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.gru import GRU
from operators.cases import Cases, Growth, Layer, keras_layer
from operators.cases._frameworks import SEQUENCE
from operators.cases._recurrent import Inside, check_recurrent, grown, onnx_sequences, recurrent_layers


def make(draw: Callable, **options: Any) -> GRU:
    """Of either kind."""
    return GRU(**options, reset_after=draw(st.booleans()))


def check(layer: Layer, found: np.ndarray) -> None:
    """The recurrence, number by number."""
    operator = layer.operator
    assert isinstance(operator, GRU)
    units = operator.units

    def cell(x: Inside, unit: int, e: dict[str, int], states: list[list[int]]) -> list[int]:
        (hidden,) = states
        gates = [[x.look("gate_table", x.z(gate * units + k, hidden)) for k in range(units)] for gate in range(2)]
        u, r = gates[0][unit], gates[1][unit]
        row = 2 * units + unit
        if operator.reset_after:
            inner = x.sat(x.recurrent_sum(row, hidden))
            z = x.sat(x.input_sum(row) + x.round(r * inner, e["gate"] + e["inner"] - e["candidate_sum"]))
        else:
            kept = [x.sat(x.round(one * h, e["gate"])) for one, h in zip(gates[1], hidden, strict=True)]
            z = x.z(row, kept)
        g = x.look("candidate_table", z)
        product = u * (hidden[unit] - g)
        assert abs(product) + (1 << 14) < 2**31
        return [x.sat(g + x.round(product, e["gate"]))]

    check_recurrent(layer, found, cell)


CASES = Cases(
    layers=recurrent_layers(make),
    check=check,
    onnx=[*onnx_sequences("GRU", 3, 1), *onnx_sequences("GRU", 3, 1, linear_before_reset=1)],
    growth=Growth(grown(make), ranks=(2,), often=3),
    keras=[
        keras_layer(SEQUENCE, "GRU", 4),
        keras_layer(SEQUENCE, "GRU", 3, reset_after=False, return_sequences=True),
    ],
)
