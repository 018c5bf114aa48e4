"""How do LSTM, GRU and RNN of ONNX become nodes? As our recurrent layers, or written out step by step.

One sequence that begins with states of zero is a recurrent layer of ours. A batch of sequences, and states that are
inputs, as networks have that run one step at a time, are written out in dense layers, products and activations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.recurrent import Recurrent
from ggdq_mcu.operators.slice import Slice, onnx_part
from ggdq_mcu.sources.onnx_layout import Tensor

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator

Array = NDArray[Any]
Function = tuple[str, float]
_MOST_STEPS = 8  # that are written out, each with its own copy of the weights
_FUNCTIONS: Mapping[str, tuple[str, float]] = {
    "relu": ("relu", 0.0),
    "tanh": ("tanh", 0.0),
    "sigmoid": ("sigmoid", 0.0),
    "softsign": ("softsign", 0.0),
    "softplus": ("softplus", 0.0),
    "leakyrelu": ("leaky_relu", 0.01),
    "elu": ("elu", 1.0),
    "thresholdedrelu": ("thresholded_relu", 1.0),
    "hardsigmoid": ("hard_sigmoid", 0.2),
}


@dataclass(frozen=True, eq=False)
class Part:
    """One direction of a node: weights in Keras' order of gates, biases (2, gates, units), functions, initial states.

    ``x`` is a node (T, B, C) in the order of time; ``states`` are nodes (B, units), none where they begin with zeros.
    """

    op: OnnxOperator
    kernel: Array
    recurrent: Array
    bias: Array
    functions: tuple[Function, ...]
    backwards: bool
    states: tuple[str, ...]
    peepholes: Array | None
    suffix: str

    @property
    def units(self) -> int:
        """Of the hidden state."""
        return int(self.recurrent.shape[0])

    def add(self, operator: Any, *sources: str, **weights: Array) -> str:
        """A node."""
        return self.op.add(operator, *sources, suffix=self.suffix, weights=weights)

    def applied(self, index: int, source: str) -> str:
        """The function ``index`` of a node."""
        name, parameter = self.functions[index]
        return self.add(Clip(low=0.0) if name == "relu" else Activation(name, parameter), source)

    def scaled(self, source: str, factors: Array, offset: float = 0.0) -> str:
        """factors * x + offset by unit."""
        return self.add(Affine(), source, scale=factors, offset=np.full(factors.shape, offset))

    def product(self, source: str, gates: slice, bias: Array | None = None) -> str:
        """The recurrent kernel of some gates times a state."""
        columns = slice(gates.start * self.units, gates.stop * self.units)
        weights = {"kernel": self.recurrent[:, columns], **({} if bias is None else {"bias": bias})}
        return self.add(Dense(columns.stop - columns.start), source, **weights)

    def gate(self, sums: str, index: int, batch: int) -> str:
        """The sums of one gate."""
        return self.add(Slice((0, index * self.units), (batch, self.units)), sums)


#: The states after a step that is written out: from the part, the sums (B, gates * units) of its input, the states
#: before it (none: zeros) and the batch.
Step = Callable[[Part, str, tuple[str, ...], int], tuple[str, ...]]


@dataclass(frozen=True)
class Kind:
    """One of the three: its layer, the places of Keras' gates among ONNX's, its functions, a step, its states."""

    layer: Callable[..., Recurrent]
    gates: tuple[int, ...]
    functions: tuple[str, ...]
    step: Step
    states: int = 1


def recurrent(op: OnnxOperator, kind: Kind) -> tuple[Tensor, ...]:
    """The outputs Y, Y_h and Y_c of a node: any direction, sequences or steps first, states as inputs and outputs."""
    x, batch_first = op.tensor(0), bool(op.integer("layout", 0))
    if len(x.shape) != 3:
        raise op.error(f"its input {x.shape} is not of three axes")
    steps, batch = (x.shape[1], x.shape[0]) if batch_first else x.shape[:2]
    parts = _parts(op, kind, batch_first, batch)
    _check(op, steps)
    time_first = x if not batch_first else op.transposed(x, (1, 0, 2))
    is_layer = batch == 1 and not parts[0].states and parts[0].peepholes is None and _one_function(parts, kind)
    if is_layer:
        made = [_layer(part, kind, op.arranged(time_first, (0, 2)).node, steps) for part in parts]
    else:
        if steps > _MOST_STEPS:
            raise op.error(
                f"{steps} steps of a batch, with initial states or peepholes are not supported",
                f"export the network for at most {_MOST_STEPS} steps a time, or with initial states of zero",
            )
        made = [_written_out(part, kind, op.arranged(time_first, (0, 1, 2)).node, time_first.shape) for part in parts]
    return _outputs(op, made, (steps, batch, parts[0].units), batch_first)


def _one_function(parts: Sequence[Part], kind: Kind) -> bool:
    """Has a cell the same function for its candidate and its output, as our layers do?"""
    return kind.states == 1 or all(part.functions[1] == part.functions[2] for part in parts)


def _check(op: OnnxOperator, steps: int) -> None:
    """Refuse what is not supported."""
    if "clip" in op.attributes:
        raise op.error("clip is not supported", "train the network without it")
    if op.kind == "LSTM" and op.integer("input_forget", 0):
        raise op.error("input_forget is not supported", "train the network with a forget gate of its own")
    if op.given(4) and not (op.is_constant(4) and np.all(op.constant(4, "sequence_lens") == steps)):
        raise op.error("sequence_lens is not supported", "export the network for sequences of one length")


def _parts(op: OnnxOperator, kind: Kind, batch_first: bool, batch: int) -> list[Part]:
    """The directions."""
    direction = op.text("direction", "forward")
    if direction not in ("forward", "reverse", "bidirectional"):
        raise op.error(f"direction {direction[:60]!r} is unknown")
    count, gates = 2 if direction == "bidirectional" else 1, len(kind.gates)
    kernel, state = op.weights(1, "W"), op.weights(2, "R")
    units = op.integer("hidden_size", state.shape[-1] if state.ndim else 1, 1)
    channels = op.tensor(0).shape[-1]
    if kernel.shape != (count, gates * units, channels) or state.shape != (count, gates * units, units):
        raise op.error(f"W {kernel.shape} and R {state.shape} do not fit {units} units of {channels} channels")
    bias = op.weights(3, "B", (count, 2 * gates * units)) if op.given(3) else np.zeros((count, 2 * gates * units))
    peepholes = op.weights(7, "P", (count, 3 * units)) if op.given(7) and kind.states > 1 else None
    functions = _functions(op, kind, count)

    def ordered(rows: Array) -> Array:
        """Rows (gates * units, ...) in Keras' order of gates."""
        return np.concatenate([rows.reshape(gates, units, -1)[gate] for gate in kind.gates])

    given = [5 + number for number in range(kind.states)]
    has_states = any(_has_state(op, number) for number in given)
    return [
        Part(
            op,
            ordered(kernel[index]).T,
            ordered(state[index]).T,
            bias[index].reshape(2, gates, units)[:, list(kind.gates)],
            functions[index],
            direction == "reverse" or index == 1,
            tuple(_initial(op, one, index, count, batch_first, (batch, units)) for one in given) if has_states else (),
            peepholes[index].reshape(3, units) if peepholes is not None and np.any(peepholes) else None,
            "backwards" if index else "step",
        )
        for index in range(count)
    ]


def _has_state(op: OnnxOperator, index: int) -> bool:
    """Is an initial state given that is not zero?"""
    return op.given(index) and not (op.is_constant(index) and not np.any(op.constant(index, "initial state")))


def _initial(
    op: OnnxOperator, index: int, direction: int, count: int, batch_first: bool, shape: tuple[int, int]
) -> str:
    """The node (B, units) of an initial state; "" where it is zero."""
    if not _has_state(op, index):
        return ""
    if op.is_constant(index):
        raise op.error("initial states that are constants other than zero are not supported", "make them inputs")
    tensor, axis = op.tensor(index), 1 if batch_first else 0
    wanted = (shape[0], count, shape[1]) if batch_first else (count, *shape)
    if tensor.shape != wanted:
        raise op.error(f"an initial state of shape {tensor.shape} is not {wanted}")
    part = onnx_part(op, tensor, {axis: slice(direction, direction + 1)})
    return op.arranged(part, (0, 2) if batch_first else (1, 2)).node


def _functions(op: OnnxOperator, kind: Kind, count: int) -> list[tuple[Function, ...]]:
    """The functions of each direction, with their parameters."""
    usual = list(kind.functions) * count
    names = op.texts("activations", usual)
    numbers = {key: iter(op.numbers(key, [])) for key in ("activation_alpha", "activation_beta")}
    if len(names) != len(usual):
        raise op.error(f"has {len(names)} activations instead of {len(usual)}")
    found = []
    for name in names:
        known = _FUNCTIONS.get(name.lower())
        if known is None:
            raise op.error(f"activation {name[:60]!r} is not supported", f"known: {', '.join(sorted(_FUNCTIONS))}")
        parameter = next(numbers["activation_alpha"], known[1]) if known[1] else 0.0
        if known[0] == "hard_sigmoid" and next(numbers["activation_beta"], 0.5) != 0.5:
            raise op.error("a HardSigmoid whose beta is not 0.5 is not supported", "use Sigmoid")
        found.append((known[0], parameter))
    each = len(kind.functions)
    return [tuple(found[index * each : (index + 1) * each]) for index in range(count)]


def _layer(part: Part, kind: Kind, x: str, steps: int) -> list[str]:
    """Nodes (T, units) of the sequence and (units,) of the last states, none where nothing reads them."""
    names = [("activation", "activation_parameter"), ("recurrent_activation", "recurrent_parameter")]
    functions = part.functions[::-1] if kind.states == 1 else (part.functions[1], part.functions[0])
    options = {
        key: value
        for pair, function in zip(names, functions, strict=False)
        for key, value in zip(pair, function, strict=True)
    }
    operator = kind.layer(part.units, part.bias, **options)
    sequence = replace(operator, return_sequences=True, go_backwards=part.backwards, input_order=part.backwards)
    last = replace(sequence, return_sequences=False, input_order=False)
    bias = part.bias if getattr(operator, "reset_after", False) else part.bias.sum(axis=0)
    weights = {"kernel": part.kernel, "recurrent": part.recurrent}
    weights["bias"] = bias.reshape(2, -1) if bias.ndim == 3 else bias.ravel()
    op, made = part.op, ["", "", ""]
    if op.read[:1] == (True,):
        made[0] = op.add(sequence, x, weights=weights)
        if any(op.read[1:2]):
            end = Slice((0 if part.backwards else steps - 1, 0), (1, part.units))
            made[1] = op.view(Reshape((part.units,)), op.add(end, made[0], suffix="last"))
    elif any(op.read[1:2]):
        made[1] = op.add(last, x, weights=weights)
    if any(op.read[2:3]):
        cell: dict[str, Any] = {"cell_output": True}
        made[2] = op.add(replace(last, **cell), x, suffix="cell", weights=weights)
    return made


def _written_out(part: Part, kind: Kind, x: str, shape: Sequence[int]) -> list[str]:
    """Nodes (T, B, units) of the sequence and (B, units) of the last states."""
    steps, batch, _ = shape
    gates = len(kind.gates)
    bias = part.bias.sum(axis=0) if not kind.layer(part.units, part.bias).__dict__.get("reset_after") else None
    if bias is None:  # the candidate's second bias stays with the recurrent sums
        bias = part.bias.sum(axis=0)
        bias[2] = part.bias[0, 2]
    sums = part.add(Dense(gates * part.units), x, kernel=part.kernel, bias=bias.ravel())
    states, rows = part.states, []
    for t in range(steps)[:: -1 if part.backwards else 1]:
        now = part.add(Slice((t, 0, 0), (1, batch, gates * part.units)), sums) if steps > 1 else sums
        states = kind.step(part, part.op.view(Reshape((batch, gates * part.units)), now), states, batch)
        rows.append(part.op.view(Reshape((1, batch, part.units)), states[0]))
    rows = rows[::-1] if part.backwards else rows
    sequence = part.add(Concatenate(-3), *rows) if len(rows) > 1 else rows[0]
    return [sequence, *states]


def _outputs(
    op: OnnxOperator, made: Sequence[Sequence[str]], sizes: tuple[int, int, int], batch_first: bool
) -> tuple[Tensor, ...]:
    """Y (T, D, B, units) or (B, T, D, units), Y_h and Y_c (D, B, units) or (B, D, units)."""
    steps, batch, units = sizes
    count, results = len(made), []
    for index in range(len(op.read)):
        nodes = [one[index] if index < len(one) else "" for one in made]
        if not all(nodes):
            results.append(Tensor("", (), ()))
            continue
        leading = (steps,) if index == 0 else ()
        apart = [op.view(Reshape((*leading, 1, batch, units)), node) for node in nodes]
        node = op.add(Concatenate(-3), *apart, suffix="both") if count > 1 else apart[0]
        tensor = Tensor(node, (*leading, count, batch, units), tuple(range(len(leading) + 3)))
        if batch_first:
            tensor = op.transposed(tensor, (2, 0, 1, 3) if index == 0 else (1, 0, 2))
        results.append(tensor)
    return tuple(results)


def added(part: Part, *sources: str) -> str:
    """The sum of nodes, those that are zero ("") left out."""
    given = [source for source in sources if source]
    return part.add(Add(), *given) if len(given) > 1 else given[0]


def multiplied(part: Part, first: str, second: str) -> str:
    """The product of two nodes; zero ("") where one of them is."""
    return part.add(Multiply(), first, second) if first and second else ""
