"""What do LSTM, GRU and SimpleRNN have in common? Sums of input and state, tables, products of 16-bit numbers, shifts.

The integer meaning (the specification; every implementation equals it). Inside of a layer every number is an int16 whose
step is a power of two, 2^-e; e is the number's exponent. For each gate j of each unit, at every step of the sequence:

    X_j = x0_j + sum of w_q * x_q               the layer's input, 8 or 16 bits
    H_j = h0_j + sum of r_q * h_q               the state before the step, 16 bits
    z_j = sat((X_j >> fx_j) + (H_j >> fh_j))    fx, fh: fraction lengths of the row; a negative one shifts left
    w_q = round(W * step_in * 2^(e_z + fx)),  r_q = round(R * 2^(e_z - e_h + fh))
    x0  = -z_in * sum of w_q + half(fx),  h0 = round(b * 2^(e_z + fh)) + half(fh);  half(f) = 2^(f - 1), f > 0, else 0

sat limits to -32767..32767. Activations are the 16-bit tables of ``activation``, here limited to the same range, so that two
products fit a 32-bit sum. The output is the state in the output's format: q_out = clip((m * h_q + r) >> n).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.numerics import functions
from ggdq_mcu.numerics.products import product
from ggdq_mcu.operators.activation import FUNCTIONS, interpolated, sampled
from ggdq_mcu.operators.shared.rescale import channel_parameters, half, halves, multipliers

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
States = tuple[Array, ...]
Note = Callable[[str, Array], None]
LIMIT = 32767
_ACCUMULATOR_LIMIT = 2**31 - 1
_MOST_FRACTION_BITS, _FEWEST_FRACTION_BITS = 24, -16
_UNSEEN = 8.0  # largest magnitude of what no sample has shown

#: Functions that the layers may use, of a value and a parameter.
RECURRENT_FUNCTIONS: Mapping[str, Callable[[Array, float], Array]] = {
    **FUNCTIONS,
    "linear": lambda x, _: x,
    "relu": lambda x, _: np.maximum(x, 0),
    "relu6": lambda x, _: np.clip(x, 0, 6),
    "hard_tanh": lambda x, _: np.clip(x, -1, 1),
}
#: Exponents of what goes into a function that is flat beyond -8..8 or -16..16.
_FLAT = {"sigmoid": 11, "tanh": 12, "hard_sigmoid": 12, "hard_tanh": 12, "relu6": 12}
_WITHIN_ONE = ("sigmoid", "tanh", "hard_sigmoid", "hard_tanh", "softsign")


@dataclass(frozen=True, kw_only=True)
class Recurrent(Operator):
    """Base of the recurrent layers: (T, C) -> (units,), or (T, units) where ``return_sequences``.

    Weights, in Keras' order of gates: ``kernel`` (C, gates * units), ``recurrent`` (units, gates * units) and, optionally,
    ``bias``. ``go_backwards`` begins with the last step of the input; the steps of a sequence come out in the order in which
    they are computed, or, with ``input_order``, in that of the input. A ``stateful`` layer begins where the last invocation
    ended, and with zeros after a reset.

    Integer constants: ``kernel``, ``recurrent`` (int8 or int16), ``input_offset`` x0, ``recurrent_offset`` h0,
    ``input_shift`` fx, ``recurrent_shift`` fh, (gates * units,) each; ``exponents``, in the order of ``maps``; the tables;
    ``multiplier``, ``offset`` and ``shift`` of the output, (units,) or (1,); ``wide``: 1 where sums need 64 bits.
    """

    units: int
    return_sequences: bool = False
    go_backwards: bool = False
    input_order: bool = False
    stateful: bool = False
    activation: str = "tanh"
    activation_parameter: float = 0.0
    recurrent_activation: str = "sigmoid"
    recurrent_parameter: float = 0.0

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    #: Of each gate, in Keras' order: is its function the recurrent activation, or the activation?
    recurrent_gates: ClassVar[tuple[bool, ...]]
    #: What the exponents belong to.
    maps: ClassVar[tuple[str, ...]]
    #: How many state vectors there are, the hidden state first.
    state_vectors: ClassVar[int] = 1

    def _details(self) -> str:
        words = [f"{self.units} units", self.activation]
        if len(self.recurrent_gates) > 1:
            words.append(self.recurrent_activation)
        words += [word for word, said in (("backwards", self.go_backwards), ("stateful", self.stateful)) if said]
        return " " + ", ".join([*words, "sequences"] if self.return_sequences else words)

    @property
    def gives_channel_steps(self) -> bool:
        return True

    @property
    def keeps_state(self) -> bool:
        return self.stateful

    @property
    def gates(self) -> int:
        """Rows of the kernels for each unit."""
        return len(self.recurrent_gates)

    @property
    def output_map(self) -> str:
        """Which of ``maps`` the output shows."""
        return "hidden"

    @property
    def output_vector(self) -> int:
        """Which of the state vectors the output shows."""
        return 0

    def output_shape(self, *shapes: Shape) -> Shape:
        steps, _ = shapes[0]
        return (steps, self.units) if self.return_sequences else (self.units,)

    # The float meaning.

    def step(self, sums: Array, states: States, weights: Mapping[str, Array], note: Note) -> States:
        """The states after a step, from those before it and ``sums`` (N, gates * units) of input and its bias.

        ``note(name, value)`` is told the values of ``maps`` and what the recurrent kernel reads.
        """
        raise NotImplementedError

    def biases(self, weights: Mapping[str, Array]) -> tuple[Array, Array]:
        """Biases (gates * units,) of the input's and of the state's part."""
        rows = self.gates * self.units
        return np.zeros(rows, np.float32), np.asarray(weights.get("bias", np.zeros(rows, np.float32)))

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(self._unrolled(inputs[0], weights, lambda _, __: None))

    def observe(self, x: Array, weights: Mapping[str, Array]) -> dict[str, Array]:
        """Values (N, T, ...) of everything inside of the layer, in the order of computing."""
        seen: dict[str, list[Array]] = {}
        self._unrolled(x, weights, lambda name, value: seen.setdefault(name, []).append(value))
        return {name: np.stack(values, axis=1) for name, values in seen.items()}

    def ordered(self, x: Array) -> Array:
        """The input's steps (N, T, ...) in the order in which they are computed."""
        return x[:, ::-1] if self.go_backwards else x

    def _unrolled(self, x: Array, weights: Mapping[str, Array], note: Note) -> Array:
        bias, _ = self.biases(weights)
        sums = product(self.ordered(x), weights["kernel"]) + bias
        states: States = (np.zeros((len(x), self.units), sums.dtype),) * self.state_vectors
        rows = []
        for t in range(x.shape[1]):
            states = self.step(sums[:, t], states, weights, note)
            rows.append(states[self.output_vector])
        return self._collected(rows).astype(x.dtype)

    def _collected(self, rows: list[Array]) -> Array:
        """The output of states (N, units) in the order of computing."""
        if not self.return_sequences:
            return rows[-1]
        return np.stack(rows[::-1] if self.go_backwards and self.input_order else rows, axis=1)

    def function(self, recurrent: bool, value: Array) -> Array:
        """The recurrent activation, or the activation, of real values."""
        name, parameter = self._function(recurrent)
        return RECURRENT_FUNCTIONS[name](value, parameter)

    def _function(self, recurrent: bool) -> tuple[str, float]:
        if recurrent:
            return self.recurrent_activation, self.recurrent_parameter
        return self.activation, self.activation_parameter

    # The integer meaning.

    def exponents(self, ranges: Mapping[str, float]) -> dict[str, int]:
        """Exponents of ``maps``, from the largest magnitudes seen."""
        raise NotImplementedError

    def sum_exponent(self, recurrent: bool, largest: float) -> int:
        """Exponent of what goes into a function."""
        return _FLAT.get(self._function(recurrent)[0], exponent(largest, 12))

    def value_exponent(self, recurrent: bool, largest: float) -> int:
        """Exponent of what comes out of a function."""
        return 15 if self.within_one(recurrent) else exponent(largest, 15)

    def recurrent_inputs(self) -> list[tuple[str, slice]]:
        """What ``observe`` calls the vectors that the recurrent kernel multiplies, and the columns that do."""
        return [("recurrent", slice(None))]

    def within_one(self, recurrent: bool) -> bool:
        """Are all values of the function within -1..1?"""
        return self._function(recurrent)[0] in _WITHIN_ONE

    def exponents_of(self, constants: Mapping[str, Array]) -> dict[str, int]:
        """Exponents by the names of ``maps``."""
        return dict(zip(self.maps, constants["exponents"].tolist(), strict=True))

    def rows(self, exponents: Mapping[str, int]) -> tuple[Array, Array]:
        """Exponents (gates * units,) of the sums that input and state make."""
        of_gate = [exponents["gate_sum" if one else "candidate_sum"] for one in self.recurrent_gates]
        rows = np.repeat(of_gate, self.units)
        return rows, rows

    def tables(self, exponents: Mapping[str, int]) -> dict[str, Array]:
        """The tables of the functions."""
        raise NotImplementedError

    def table(self, recurrent: bool, source: int, output: int) -> Array:
        """A function's table between exponents ``source`` and ``output``."""
        real = self.function(recurrent, sampled() * 2.0**-source)
        scaled = np.floor(np.nan_to_num(real, posinf=1e300, neginf=-1e300) * 2.0**output + 0.5)
        return np.asarray(np.clip(scaled, -LIMIT, LIMIT).astype(np.int16))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        exponents = self.exponents({})
        rows, recurrent_rows = self.rows(exponents)
        steps = np.broadcast_to(np.asarray(inputs[0].step, np.float64), (shapes[0][-1],))
        kernel = np.asarray(weights["kernel"], np.float64) * steps[:, None] * np.ldexp(1.0, rows)
        recurrent = np.asarray(weights["recurrent"], np.float64) * np.ldexp(1.0, recurrent_rows - exponents["hidden"])
        parts = [(kernel, _lengths(kernel)), (recurrent, _lengths(recurrent))]
        integers = [np.clip(np.floor(part * np.ldexp(1.0, f) + 0.5), -127, 127).astype(np.int8) for part, f in parts]
        shifts = [f for _, f in parts]
        return self.integers(integers, shifts, self.biases(weights), inputs[0], output, exponents)

    def integers(
        self,
        kernels: Sequence[Array],
        shifts: Sequence[Array],
        biases: Sequence[Array],
        source: Format,
        output: Format,
        exponents: Mapping[str, int],
    ) -> dict[str, Array]:
        """Integer constants for integer kernels, their fraction lengths and real biases: of the input, of the state.

        A fraction length is lowered where a bias would not fit 29 bits.
        """
        offsets, kernels, shifts = [], list(kernels), [np.asarray(shift, np.int64) for shift in shifts]
        for i, (rows, zero) in enumerate(zip(self.rows(exponents), (source.zero_point, 0), strict=True)):
            bias = np.asarray(biases[i], np.float64) * np.ldexp(1.0, rows)
            room = 29 - functions.ceil_log2(np.abs(bias) + 1)
            excess = np.maximum(shifts[i] - room, 0)
            kernels[i] = np.floor(kernels[i] * np.ldexp(1.0, -excess) + 0.5).astype(kernels[i].dtype)
            shifts[i] = shifts[i] - excess
            offset = np.floor(bias * np.ldexp(1.0, shifts[i]) + 0.5).astype(np.int64) + halves(shifts[i])
            offsets.append(offset - zero * kernels[i].astype(np.int64).sum(axis=0))
        bounds = [
            _bound(kernel, offset, low, high)
            for kernel, offset, low, high in (
                (kernels[0], offsets[0], source.low, source.high),
                (kernels[1], offsets[1], -LIMIT, LIMIT),
            )
        ]
        total = bounds[0] * np.ldexp(1.0, -shifts[0]) + bounds[1] * np.ldexp(1.0, -shifts[1]) + LIMIT
        if total.max() >= 2.0**62:
            raise GgdqError("its weights are too large for its sums", fix="scale the network's input")
        wide = max(total.max(), *(bound.max() for bound in bounds)) > _ACCUMULATOR_LIMIT
        return {
            "kernel": kernels[0],
            "recurrent": kernels[1],
            "input_offset": offsets[0],
            "recurrent_offset": offsets[1],
            "input_shift": shifts[0],
            "recurrent_shift": shifts[1],
            "exponents": np.array([exponents[name] for name in self.maps]),
            "wide": np.array(int(wide)),
            **self.tables(exponents),
            **self._rescaled(output, exponents[self.output_map]),
        }

    def _rescaled(self, output: Format, exponent: int) -> dict[str, Array]:
        ratio = np.atleast_1d(2.0**-exponent / np.asarray(output.step, np.float64))
        m, shift = multipliers(ratio, LIMIT, output)
        offset = np.full(m.shape, half(shift) + (output.zero_point << shift))
        return {"multiplier": m, "offset": offset, "shift": np.array([shift])}

    def step_integer(self, sums: Array, states: States, constants: Mapping[str, Array]) -> States:
        """The states (N, units) after a step, in integers; ``sums`` are X >> fx."""
        raise NotImplementedError

    def recurrent_sums(self, hidden: Array, constants: Mapping[str, Array], gates: slice = slice(None)) -> Array:
        """H >> fh of some of the gates."""
        rows = slice(*(None if end is None else end * self.units for end in (gates.start, gates.stop)))
        products = hidden.astype(np.float64) @ constants["recurrent"][:, rows].astype(np.float64)  # exact: below 2^53
        total = products.astype(np.int64) + constants["recurrent_offset"][rows]
        return shifted(total, constants["recurrent_shift"][rows])

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        x = self.ordered(inputs[0]).astype(np.float64)  # exact: sums are below 2^53
        total = (x @ constants["kernel"].astype(np.float64)).astype(np.int64) + constants["input_offset"]
        sums = shifted(total, constants["input_shift"])
        states: States = state or (np.zeros((len(x), self.units), np.int64),) * self.state_vectors
        rows = []
        for t in range(x.shape[1]):
            states = self.step_integer(sums[:, t], states, constants)
            rows.append(states[self.output_vector])
        values = (constants["multiplier"] * self._collected(rows) + constants["offset"]) >> constants["shift"]
        return np.clip(values, *integer_clip(self, output)).astype(output.dtype), states

    # The kernel.

    def macs(self, shapes: Sequence[Shape]) -> int:
        steps, channels = shapes[0]
        return steps * (channels + self.units) * self.gates * self.units

    def blocks(self) -> dict[str, tuple[int, ...]]:
        """The gates whose rows the kernel computes together, by the suffix of their arrays."""
        return {"": tuple(range(self.gates))}

    def scratch_vectors(self) -> int:
        """Vectors of int16 that a step needs beside the states."""
        return 1

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        constants = layer.constants
        arrays: dict[str, Array] = {}
        numbers: dict[str, int | None] = {}
        offset_type = np.int64 if constants["wide"] else np.int32
        for suffix, gates in self.blocks().items():
            for key in ("kernel", "recurrent"):
                arrays[key + suffix] = _by_unit(constants[key], self.units, gates)
            for key, kind in _ROW_TYPES.items():
                rows = _by_unit(constants[key][None], self.units, gates).ravel()
                same = bool(np.all(rows == rows[0]))
                numbers[key + suffix] = int(rows[0]) if same else None
                if not same:
                    arrays[key + suffix] = rows.astype(kind or offset_type)
        arrays |= {key: value for key, value in constants.items() if key.endswith("table")}
        rescale, parameters = channel_parameters(self, constants, layer.output, wide=False)
        parameters |= {"numbers": numbers, "accumulator": "int64_t" if constants["wide"] else "int32_t", "dual": False}
        signed = bool(constants["input_shift"].min() < 0 or constants["recurrent_shift"].min() < 0)
        parameters |= {"signed_shifts": signed, "e": self.exponents_of(constants)}
        routines = [Routine("routines/interpolate.c.j2")]
        if signed:
            routines.append(Routine("routines/shift.c.j2", {"accumulator": parameters["accumulator"]}))
        vector = 2 * self.units
        state = self.state_vectors * vector
        scratch = self.scratch_vectors() * vector + (0 if self.stateful else state)
        portable = Kernel(
            "portable",
            f"operators/{self.name}.c.j2",
            parameters,
            arrays | rescale,
            scratch,
            self.instructions(layer.shapes[0], 2 + 4 / self.gates),
            tuple(routines),
            state_bytes=state if self.stateful else 0,
        )
        return [portable]

    def instructions(self, shape: Shape, a_product: float) -> float:
        """Estimate for a kernel that takes so many instructions for each product."""
        return self.macs([shape]) * a_product + shape[0] * self.units * (60 + 50 * self.gates)


_ROW_TYPES: Mapping[str, Any] = {
    "input_offset": None,
    "recurrent_offset": None,
    "input_shift": np.int8,
    "recurrent_shift": np.int8,
}


def exponent(largest: float, most: int) -> int:
    """Exponent with room for twice the largest magnitude seen, at most ``most``; GgdqError where values are too large."""
    room = int(functions.floor_log2(LIMIT / (2 * largest))) if largest > 0 else most
    if room < 0:
        raise GgdqError(f"values inside of it are as large as {largest:.3g}", fix="scale the network's input")
    return min(room, most)


def saturated(value: Array) -> Array:
    """Integers limited to -32767..32767."""
    return np.clip(value, -LIMIT, LIMIT)


def looked_up(value: Array, table: Array) -> Array:
    """Values of a table for integers."""
    return interpolated(value, table.astype(np.int64))


def shifted(value: Array, shift: Array | int) -> Array:
    """value >> shift, or value << -shift where the shift is negative."""
    return np.asarray((value << np.maximum(-np.asarray(shift), 0)) >> np.maximum(shift, 0))


def rounded(value: Array, shift: int) -> Array:
    """value / 2^shift, rounded half up."""
    return (value + half(shift)) >> shift


def largest(maps: Mapping[str, Array]) -> dict[str, float]:
    """The largest magnitude of each map."""
    return {name: float(np.abs(value).max(initial=0.0)) for name, value in maps.items()}


def seen(ranges: Mapping[str, float], name: str) -> float:
    """The largest magnitude of a map, or a guess where no sample has shown it."""
    return ranges.get(name, _UNSEEN)


def _lengths(kernel: Array) -> Array:
    """The largest fraction lengths at which no row of an 8-bit kernel saturates."""
    most = np.maximum(np.abs(kernel).max(axis=0, initial=0.0), 1e-30)
    lengths = np.clip(functions.floor_log2(127 / most), _FEWEST_FRACTION_BITS, _MOST_FRACTION_BITS)
    return np.asarray(lengths.astype(np.int64))


def _bound(kernel: Array, offset: Array, low: int, high: int) -> Array:
    """Largest magnitude of offset + sum of kernel * q, after any number of its products."""
    columns = kernel.astype(np.float64)
    ends = np.maximum(columns * low, columns * high), np.minimum(columns * low, columns * high)
    upper = offset + np.maximum(ends[0], 0).sum(axis=0)
    lower = offset + np.minimum(ends[1], 0).sum(axis=0)
    return np.asarray(np.maximum(np.abs(upper), np.abs(lower)))


def _by_unit(rows: Array, units: int, gates: Sequence[int]) -> Array:
    """Columns (K, gates * units) as the kernel reads them: unit by unit, product by product, gate by gate."""
    parts = rows.reshape(len(rows), -1, units)[:, list(gates)]
    return np.ascontiguousarray(parts.transpose(2, 0, 1))
