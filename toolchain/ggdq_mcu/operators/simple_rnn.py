"""The simple recurrent layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.numerics.products import product
from ggdq_mcu.operators.shared.keras_recurrent import kernel_shapes, nodes, options
from ggdq_mcu.operators.shared.onnx_recurrent import Kind, Part, added, recurrent
from ggdq_mcu.operators.shared.recurrent import Note, Recurrent, States, looked_up, saturated, seen
from ggdq_mcu.sources.keras import KerasLayer, Outputs

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node] | Outputs:
    """SimpleRNN, unrolled or looped, backwards and stateful too."""
    return nodes(layer, SimpleRNN(**options(layer)), layer.take(**kernel_shapes(layer, 1)))


def from_onnx(op: OnnxOperator) -> tuple[Tensor, ...]:
    """RNN: any direction, states as inputs and outputs (those of up to 8 steps), without sequence_lens and clip."""
    return recurrent(op, Kind(_of_onnx, (0,), ("Tanh",), _written_out))


def _of_onnx(units: int, _: Array, **options: Any) -> SimpleRNN:
    return SimpleRNN(units=units, **options)


def _written_out(part: Part, sums: str, states: tuple[str, ...], batch: int) -> tuple[str, ...]:
    """A step in other operators."""
    sums = added(part, sums, part.product(states[0], slice(0, 1)) if states else "")
    return (part.applied(0, sums),)


@dataclass(frozen=True)
class SimpleRNN(Recurrent):
    """h' = activation(kernel x + recurrent h + bias); integers: h' = table[z]."""

    recurrent_gates: ClassVar[tuple[bool, ...]] = (False,)
    maps: ClassVar[tuple[str, ...]] = ("candidate_sum", "hidden")
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"SimpleRNN": from_keras}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"RNN": from_onnx}

    def step(self, sums: Array, states: States, weights: Mapping[str, Array], note: Note) -> States:
        (hidden,) = states
        note("recurrent", hidden)
        z = sums + product(hidden, weights["recurrent"]) + self.biases(weights)[1]
        hidden = self.function(False, z)
        note("candidate_sum", z)
        note("hidden", hidden)
        return (hidden,)

    def exponents(self, ranges: Mapping[str, float]) -> dict[str, int]:
        return {
            "candidate_sum": self.sum_exponent(False, seen(ranges, "candidate_sum")),
            "hidden": self.value_exponent(False, seen(ranges, "hidden")),
        }

    def tables(self, exponents: Mapping[str, int]) -> dict[str, Array]:
        return {"candidate_table": self.table(False, exponents["candidate_sum"], exponents["hidden"])}

    def step_integer(self, sums: Array, states: States, constants: Mapping[str, Array]) -> States:
        z = saturated(sums + self.recurrent_sums(states[0], constants))
        return (looked_up(z, constants["candidate_table"]),)
