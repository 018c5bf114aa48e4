"""Simple recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ggdq_mcu.operators.simple_rnn import SimpleRNN
from operators.cases import Cases, Growth, Layer, keras_layer
from operators.cases._frameworks import SEQUENCE
from operators.cases._recurrent import Inside, check_recurrent, grown, onnx_sequences, recurrent_layers


def make(draw: Callable, **options: Any) -> SimpleRNN:
    return SimpleRNN(**options)


def check(layer: Layer, found: np.ndarray) -> None:
    """The recurrence, number by number."""

    def cell(x: Inside, unit: int, e: dict[str, int], states: list[list[int]]) -> list[int]:
        return [x.look("candidate_table", x.z(unit, states[0]))]

    check_recurrent(layer, found, cell)


CASES = Cases(
    layers=recurrent_layers(make),
    check=check,
    onnx=[*onnx_sequences("RNN", 1, 1)],
    growth=Growth(grown(make), ranks=(2,)),
    keras=[keras_layer(SEQUENCE, "SimpleRNN", 4, return_sequences=True)],
)
