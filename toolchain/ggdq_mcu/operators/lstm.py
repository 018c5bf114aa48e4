"""Long short-term memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.numerics.products import product
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.keras_recurrent import kernel_shapes, nodes, options
from ggdq_mcu.operators.shared.onnx_recurrent import Kind, Part, added, multiplied, recurrent
from ggdq_mcu.operators.shared.recurrent import (
    LIMIT,
    Note,
    Recurrent,
    States,
    exponent,
    looked_up,
    rounded,
    saturated,
    seen,
)
from ggdq_mcu.sources.keras import KerasLayer, Outputs
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node] | Outputs:
    """LSTM, unrolled or looped, backwards and stateful too; a cell state that ``return_state`` shows costs the layer once
    more, if it is read.
    """
    operator = LSTM(**options(layer))
    return nodes(layer, operator, layer.take(**kernel_shapes(layer, 4)), replace(operator, cell_output=True))


def from_onnx(op: OnnxOperator) -> tuple[Tensor, ...]:
    """LSTM: any direction, states as inputs and outputs (those of up to 8 steps), without sequence_lens and clip."""
    return recurrent(op, Kind(_of_onnx, (0, 2, 3, 1), ("Sigmoid", "Tanh", "Tanh"), _written_out, 2))


def _of_onnx(units: int, _: Array, **options: Any) -> LSTM:
    return LSTM(units=units, **options)


def _written_out(part: Part, sums: str, states: tuple[str, ...], batch: int) -> tuple[str, ...]:
    """A step in other operators; peepholes in ONNX's order: input, output, forget."""
    hidden, cell = states or ("", "")
    sums = added(part, sums, part.product(hidden, slice(0, 4)) if hidden else "")
    i, f, g, o = (part.gate(sums, index, batch) for index in range(4))
    seen = part.peepholes if part.peepholes is not None and cell else None
    if seen is not None:
        i, f = added(part, i, part.scaled(cell, seen[0])), added(part, f, part.scaled(cell, seen[2]))
    kept = multiplied(part, part.applied(0, f), cell) if cell else ""
    cell = added(part, multiplied(part, part.applied(0, i), part.applied(1, g)), kept)
    if part.peepholes is not None:
        o = added(part, o, part.scaled(cell, part.peepholes[1]))
    return multiplied(part, part.applied(0, o), part.applied(2, cell)), cell


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM with its four gates, without peepholes, projection and normalization.

    Its state is in variable tensors: an inference begins with what the last one left.
    """
    return tflite_nodes(op, LSTM(**tflite_options(op)))


def tflite_options(op: TFLiteOperator) -> dict[str, Any]:
    """The fields of the operator."""
    units, clip = tflite_weights(op)["recurrent"].shape[0], op.number("CellClip", 0.0)
    limit = clip if clip > 0 else math.inf
    return {"units": units, "return_sequences": True, "stateful": True, "cell_clip": limit}


def tflite_weights(op: TFLiteOperator) -> dict[str, Array]:
    """``kernel``, ``recurrent`` and ``bias`` of the operator, gates in Keras' order, in real numbers."""
    names = {1: "coupled input and forget gates", 9: "peepholes", 16: "a projection", 20: "layer normalization"}
    for position, what in names.items():
        if op.has(position) == (position != 1):
            raise op.error(f"{what} are not supported", "train the layer without")
    if op.activation not in ("NONE", "TANH"):
        raise op.error(f"activation {op.activation} is not supported", "use tanh")
    kernels = [op.constant(position) for position in range(1, 5)]
    recurrent = [op.constant(position) for position in range(5, 9)]
    units, channels = kernels[0].shape[:2] if kernels[0].ndim == 2 else (0, 0)
    shapes = [(units, channels)] * 4 + [(units, units)] * 4
    if [one.shape for one in (*kernels, *recurrent)] != shapes or op.data.shape[-1] != channels or not units:
        raise op.error(f"its weights {kernels[0].shape} and {recurrent[0].shape} do not fit {op.data.shape}")
    biases = [op.bias(units, position).get("bias", np.zeros(units, np.float32)) for position in range(12, 16)]
    return {
        "kernel": np.concatenate(kernels).T.copy(),
        "recurrent": np.concatenate(recurrent).T.copy(),
        "bias": np.concatenate(biases),
    }


def tflite_nodes(op: TFLiteOperator, operator: LSTM) -> list[Node]:
    """The layer between what brings a sequence of shape (1, T, C) or, with the time first, (T, 1, C) into order."""
    shape = op.data.shape
    batch = 1 if op.flag("TimeMajor") else 0
    if len(shape) != 3 or shape[batch] != 1:
        raise op.error(f"its input {shape} is not one sequence", "convert the network for a batch of 1")
    steps, channels = shape[1 - batch], shape[2]
    nodes = op.chain(
        [
            ("sequence", Reshape((steps, channels))),
            ("states", operator),
            ("shaped", Reshape(without_batch((*shape[:2], operator.units)))),
        ]
    )
    return [replace(one, weights=tflite_weights(op)) if one.operator is operator else one for one in nodes]


@dataclass(frozen=True)
class LSTM(Recurrent):
    """Long short-term memory: gates input i, forget f and output o, candidate g, cell state c and hidden state h.

    z = kernel x + recurrent h + bias, for i, f, g, o in this order; i, f, o = recurrent_activation(z), g = activation(z)
    c' = f * c + i * g,  h' = o * activation(c'). The output is h, or c with ``cell_output``.
    c is limited to +-``cell_clip``.
    Integers, e the exponents of gates, g, c, activation(c) and h:
        c' = sat((f * c + ((i * g) >> (e_g - e_c)) + half(e_gate)) >> e_gate)
        h' = sat((o * table[c'] + half(n)) >> n),  n = e_gate + e_activation(c) - e_h
    """

    cell_output: bool = False
    cell_clip: float = math.inf

    recurrent_gates: ClassVar[tuple[bool, ...]] = (True, True, False, True)
    maps: ClassVar[tuple[str, ...]] = (
        "gate_sum", "candidate_sum", "gate", "candidate", "cell", "cell_output", "hidden",
    )  # fmt: skip
    state_vectors: ClassVar[int] = 2
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"LSTM": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"UNIDIRECTIONAL_SEQUENCE_LSTM": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"LSTM": from_onnx}

    @property
    def output_map(self) -> str:
        return "cell" if self.cell_output else "hidden"

    @property
    def output_vector(self) -> int:
        return 1 if self.cell_output else 0

    def step(self, sums: Array, states: States, weights: Mapping[str, Array], note: Note) -> States:
        hidden, cell = states
        note("recurrent", hidden)
        z = sums + product(hidden, weights["recurrent"]) + self.biases(weights)[1]
        i, f, g, o = np.split(z, 4, axis=1)
        note("gate_sum", np.concatenate([i, f, o], axis=1))
        note("candidate_sum", g)
        i, f, o = (self.function(True, gate) for gate in (i, f, o))
        g = self.function(False, g)
        cell = np.clip(f * cell + i * g, -self.cell_clip, self.cell_clip)
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

    def cell_limit(self, exponent: int) -> int:
        """Largest magnitude of the cell state's integers."""
        return int(min(LIMIT, self.cell_clip * 2.0**exponent + 0.5))

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
        limit = self.cell_limit(e["cell"])
        cell = np.clip(rounded(f * cell + ((i * g) >> (e["candidate"] - e["cell"])), e["gate"]), -limit, limit)
        shown = looked_up(cell, constants["cell_table"])
        return saturated(rounded(o * shown, e["gate"] + e["cell_output"] - e["hidden"])), cell
