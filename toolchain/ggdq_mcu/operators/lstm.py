"""Long short-term memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators.shared.keras_recurrent import kernel_shapes, nodes, options
from ggdq_mcu.operators.shared.recurrent import Note, Recurrent, States, exponent, looked_up, rounded, saturated, seen
from ggdq_mcu.sources.keras import KerasLayer, Outputs

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node] | Outputs:
    """LSTM, unrolled or looped, backwards and stateful too; a cell state that ``return_state`` shows costs the layer once
    more, if it is read.
    """
    operator = LSTM(**options(layer))
    return nodes(layer, operator, layer.take(**kernel_shapes(layer, 4)), replace(operator, cell_output=True))


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Long short-term memory: gates input i, forget f and output o, candidate g, cell state c and hidden state h.

    z = kernel x + recurrent h + bias, for i, f, g, o in this order; i, f, o = recurrent_activation(z), g = activation(z)
    c' = f * c + i * g,  h' = o * activation(c'). The output is h, or c with ``cell_output``.
    Integers, e the exponents of gates, g, c, activation(c) and h:
        c' = sat((f * c + ((i * g) >> (e_g - e_c)) + half(e_gate)) >> e_gate)
        h' = sat((o * table[c'] + half(n)) >> n),  n = e_gate + e_activation(c) - e_h
    """

    cell_output: bool = False

    recurrent_gates: ClassVar[tuple[bool, ...]] = (True, True, False, True)
    maps: ClassVar[tuple[str, ...]] = (
        "gate_sum", "candidate_sum", "gate", "candidate", "cell", "cell_output", "hidden",
    )  # fmt: skip
    state_vectors: ClassVar[int] = 2
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"LSTM": from_keras}

    @property
    def output_map(self) -> str:
        return "cell" if self.cell_output else "hidden"

    @property
    def output_vector(self) -> int:
        return 1 if self.cell_output else 0

    def step(self, sums: Array, states: States, weights: Mapping[str, Array], note: Note) -> States:
        hidden, cell = states
        note("recurrent", hidden)
        z = sums + hidden @ weights["recurrent"] + self.biases(weights)[1]
        i, f, g, o = np.split(z, 4, axis=1)
        note("gate_sum", np.concatenate([i, f, o], axis=1))
        note("candidate_sum", g)
        i, f, o = (self.function(True, gate) for gate in (i, f, o))
        g = self.function(False, g)
        cell = f * cell + i * g
        shown = self.function(False, cell)
        hidden = o * shown
        note("gate", np.concatenate([i, f, o], axis=1))
        for name, value in (("candidate", g), ("cell", cell), ("cell_output", shown), ("hidden", hidden)):
            note(name, value)
        return hidden, cell

    def exponents(self, ranges: Mapping[str, float]) -> dict[str, int]:
        gate = self.value_exponent(True, seen(ranges, "gate"))
        candidate = self.value_exponent(False, seen(ranges, "candidate"))
        shown = self.value_exponent(False, seen(ranges, "cell_output"))
        bounded = self.within_one(True) and self.within_one(False)
        return {
            "gate_sum": self.sum_exponent(True, seen(ranges, "gate_sum")),
            "candidate_sum": self.sum_exponent(False, seen(ranges, "candidate_sum")),
            "gate": gate,
            "candidate": candidate,
            "cell": min(exponent(seen(ranges, "cell"), 12), candidate),
            "cell_output": shown,
            "hidden": 15 if bounded else min(exponent(seen(ranges, "hidden"), 15), gate + shown),
        }

    def tables(self, exponents: Mapping[str, int]) -> dict[str, Array]:
        return {
            "gate_table": self.table(True, exponents["gate_sum"], exponents["gate"]),
            "candidate_table": self.table(False, exponents["candidate_sum"], exponents["candidate"]),
            "cell_table": self.table(False, exponents["cell"], exponents["cell_output"]),
        }

    def step_integer(self, sums: Array, states: States, constants: Mapping[str, Array]) -> States:
        e = self.exponents_of(constants)
        hidden, cell = states
        z = saturated(sums + self.recurrent_sums(hidden, constants))
        i, f, g, o = np.split(z, 4, axis=1)
        i, f, o = (looked_up(gate, constants["gate_table"]) for gate in (i, f, o))
        g = looked_up(g, constants["candidate_table"])
        cell = saturated(rounded(f * cell + ((i * g) >> (e["candidate"] - e["cell"])), e["gate"]))
        shown = looked_up(cell, constants["cell_table"])
        return saturated(rounded(o * shown, e["gate"] + e["cell_output"] - e["hidden"])), cell
