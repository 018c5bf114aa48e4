"""Gated recurrent unit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.numerics.products import product
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.shared.keras_recurrent import kernel_shapes, nodes, options
from ggdq_mcu.operators.shared.onnx_recurrent import Kind, Part, added, multiplied, recurrent
from ggdq_mcu.operators.shared.recurrent import Note, Recurrent, States, exponent, looked_up, rounded, saturated, seen
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.sources.keras import KerasLayer, Outputs

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node] | Outputs:
    """GRU, ``reset_after`` or not, unrolled or looped, backwards and stateful too."""
    after = layer.flag("reset_after", False)  # Keras before 2.2 has no such option
    bias = (2, 3 * layer.integer("units")) if after else None
    operator = GRU(**options(layer), reset_after=after)
    return nodes(layer, operator, layer.take(**kernel_shapes(layer, 3, bias)))


def from_onnx(op: OnnxOperator) -> tuple[Tensor, ...]:
    """GRU: any direction, states as inputs and outputs (those of up to 8 steps), without sequence_lens and clip."""
    after = bool(op.integer("linear_before_reset", 0))

    def layer(units: int, _: Array, **options: Any) -> GRU:
        return GRU(units=units, reset_after=after, **options)

    def written_out(part: Part, sums: str, states: tuple[str, ...], batch: int) -> tuple[str, ...]:
        return _written_out(part, sums, states, batch, after)

    return recurrent(op, Kind(layer, (0, 1, 2), ("Sigmoid", "Tanh"), written_out))


def _written_out(part: Part, sums: str, states: tuple[str, ...], batch: int, after: bool) -> tuple[str, ...]:
    """A step in other operators: h' = g + u * (h - g)."""
    (hidden,) = states or ("",)
    gates = part.add(Slice((0, 0), (batch, 2 * part.units)), sums)
    gates = part.applied(0, added(part, gates, part.product(hidden, slice(0, 2)) if hidden else ""))
    u, r = (part.gate(gates, index, batch) for index in range(2))
    candidate, rest = part.gate(sums, 2, batch), ""
    if after:
        inner = part.product(hidden, slice(2, 3), part.bias[1, 2]) if hidden else ""
        rest = multiplied(part, r, inner) if inner else part.scaled(r, part.bias[1, 2])
    elif hidden:
        rest = part.product(multiplied(part, r, hidden), slice(2, 3))
    g = part.applied(1, added(part, candidate, rest))
    away = part.add(Add(signs=(1, -1)), hidden, g) if hidden else part.scaled(g, np.full(part.units, -1.0))
    return (added(part, g, multiplied(part, u, away)),)


@dataclass(frozen=True)
class GRU(Recurrent):
    """Gated recurrent unit: gates update u and reset r, candidate g, hidden state h, in this order in the kernels.

    u, r = recurrent_activation(kernel x + recurrent h + bias),  h' = u * h + (1 - u) * g
    g = activation(kernel x + recurrent (r * h) + bias), or, with ``reset_after``, whose bias is (2, 3 * units),
    g = activation(kernel x + bias[0] + r * (recurrent h + bias[1])).
    Integers, e the exponents of gates, of inner = sat(H >> fh) of g, and of g's sums z:
        h' = sat(g + ((u * (h - g) + half(e_gate)) >> e_gate))
        reset_after: z = sat((X >> fx) + ((r * inner + half(n)) >> n)),  n = e_gate + e_inner - e_z
        otherwise r * h, in H's place for h, is sat((r * h + half(e_gate)) >> e_gate)
    """

    reset_after: bool = True

    recurrent_gates: ClassVar[tuple[bool, ...]] = (True, True, False)
    maps: ClassVar[tuple[str, ...]] = ("gate_sum", "candidate_sum", "gate", "inner", "hidden")
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"GRU": from_keras}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"GRU": from_onnx}

    def _details(self) -> str:
        return super()._details() + (", reset after" if self.reset_after else "")

    def biases(self, weights: Mapping[str, Array]) -> tuple[Array, Array]:
        none, bias = super().biases(weights)
        if not self.reset_after or "bias" not in weights:
            return none, bias
        gates = slice(2 * self.units)  # of these both biases meet in one sum
        of_input, of_state = bias[0].copy(), bias[1].copy()
        of_state[gates] += of_input[gates]
        of_input[gates] = 0
        return of_input, of_state

    def step(self, sums: Array, states: States, weights: Mapping[str, Array], note: Note) -> States:
        (hidden,) = states
        gates, rest = slice(2 * self.units), slice(2 * self.units, None)
        recurrent, bias = weights["recurrent"], self.biases(weights)[1]
        z = sums[:, gates] + product(hidden, recurrent[:, gates]) + bias[gates]
        u, r = np.split(self.function(True, z), 2, axis=1)
        note("recurrent", hidden)
        note("gate_sum", z)
        note("gate", np.concatenate([u, r], axis=1))
        if self.reset_after:
            inner = product(hidden, recurrent[:, rest]) + bias[rest]
            note("inner", inner)
            z = sums[:, rest] + r * inner
        else:
            note("reset", r * hidden)
            z = sums[:, rest] + product(r * hidden, recurrent[:, rest]) + bias[rest]
        g = self.function(False, z)
        hidden = u * hidden + (1 - u) * g
        note("candidate_sum", z)
        note("hidden", hidden)
        note("candidate", g)
        return (hidden,)

    def exponents(self, ranges: Mapping[str, float]) -> dict[str, int]:
        gate = self.value_exponent(True, seen(ranges, "gate"))
        z = self.sum_exponent(False, seen(ranges, "candidate_sum"))
        convex = self.within_one(False) and self.recurrent_activation in ("sigmoid", "hard_sigmoid")
        largest = max(seen(ranges, "hidden"), seen(ranges, "candidate"))
        return {
            "gate_sum": self.sum_exponent(True, seen(ranges, "gate_sum")),
            "candidate_sum": z,
            "gate": gate,
            "inner": max(min(exponent(seen(ranges, "inner"), 15), z), z - gate),
            "hidden": 15 if convex else exponent(largest, 15),
        }

    def rows(self, exponents: Mapping[str, int]) -> tuple[Array, Array]:
        of_input, _ = super().rows(exponents)
        of_state = of_input.copy()
        if self.reset_after:
            of_state[2 * self.units :] = exponents["inner"]
        return of_input, of_state

    def recurrent_inputs(self) -> list[tuple[str, slice]]:
        if self.reset_after:
            return super().recurrent_inputs()
        return [("recurrent", slice(2 * self.units)), ("reset", slice(2 * self.units, None))]

    def tables(self, exponents: Mapping[str, int]) -> dict[str, Array]:
        return {
            "gate_table": self.table(True, exponents["gate_sum"], exponents["gate"]),
            "candidate_table": self.table(False, exponents["candidate_sum"], exponents["hidden"]),
        }

    def step_integer(self, sums: Array, states: States, constants: Mapping[str, Array]) -> States:
        e = self.exponents_of(constants)
        (hidden,) = states
        gates, rest = slice(2 * self.units), slice(2 * self.units, None)
        z = saturated(sums[:, gates] + self.recurrent_sums(hidden, constants, slice(2)))
        u, r = np.split(looked_up(z, constants["gate_table"]), 2, axis=1)
        if self.reset_after:
            inner = saturated(self.recurrent_sums(hidden, constants, slice(2, 3)))
            part = rounded(r * inner, e["gate"] + e["inner"] - e["candidate_sum"])
        else:
            kept = saturated(rounded(r * hidden, e["gate"]))
            part = self.recurrent_sums(kept, constants, slice(2, 3))
        g = looked_up(saturated(sums[:, rest] + part), constants["candidate_table"])
        return (saturated(g + rounded(u * (hidden - g), e["gate"])),)

    def blocks(self) -> dict[str, tuple[int, ...]]:
        return super().blocks() if self.reset_after else {"": (0, 1), "_candidate": (2,)}

    def scratch_vectors(self) -> int:
        return 1 if self.reset_after else 2
