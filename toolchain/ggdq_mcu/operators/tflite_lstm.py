"""Long short-term memory in the arithmetic of TensorFlow Lite Micro, for networks that keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.numerics import functions
from ggdq_mcu.operators.lstm import LSTM, tflite_nodes, tflite_options
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, SCALED, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, around, check_scales, format_of, quantized

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.graph.layer import QuantizedLayer

Array = NDArray[Any]
_GATE = 2.0**-12  # step of what goes into the functions
_ONE = 2.0**-15  # step of what comes out of them
#: Inputs, forget gates, candidates and outputs: the positions of their kernels, recurrent kernels and biases.
_PLACES = tuple((1 + gate, 5 + gate, 12 + gate) for gate in range(4))


#: Where the runtime's table is one above the nearest integer: found from what LOGISTIC and TANH of 16 bits compute.
_LARGER = (
    4,
    8,
    12,
    14,
    15,
    16,
    17,
    19,
    20,
    21,
    22,
    25,
    27,
    28,
    29,
    30,
    31,
    33,
    34,
    35,
    37,
    39,
    40,
    41,
    43,
    44,
    45,
    46,
    49,
    50,
    54,
    62,
    63,
    64,
    66,
    82,
    86,
    93,
    100,
    103,
    112,
    116,
    135,
    255,
)


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """UNIDIRECTIONAL_SEQUENCE_LSTM of 8 bits with a 16-bit cell state, as TensorFlow Lite Micro computes it."""
    if not op.micro:
        raise op.error("the desktop's arithmetic of it cannot be kept", "use --keep-quantization without =reference")
    operator = TFLiteLSTM(**tflite_options(op))
    nodes = tflite_nodes(op, operator)
    middle = next(node for node in nodes if node.operator is operator)
    source, output = format_of(op, op.data), format_of(op, op.outputs[0])
    hidden, cell = format_of(op, op.tensor(18)), format_of(op, op.tensor(19))
    exponent = float(functions.log2(float(cell.step)))
    if hidden != output or cell.bits != 16 or cell.zero_point or exponent != round(exponent) or source.bits != 8:
        raise op.error("its states and its output have other formats than can be kept", WITHOUT)
    constants = _sums(op, source, hidden)
    steps = [
        _ONE * float(cell.step) / float(cell.step),
        _ONE * _ONE / float(cell.step),
        _ONE * _ONE / float(hidden.step),
    ]
    m, e = multipliers(steps)
    shift = 12 + round(exponent)
    constants |= {
        "products": np.stack([m, e]),
        "cell_factor": np.array([3 if shift < 0 else 3 << shift, max(-shift, 0)]),
        "table": _table(),
        "cell_limit": np.array(int(min(operator.cell_clip / float(cell.step), 32767.0))),
    }
    if np.any(e > 0) or shift > 3:
        raise op.error("its scales are finer than can be kept", WITHOUT)
    return around(nodes, source, Kept(middle, quantized(middle, constants, output)))


def _sums(op: TFLiteOperator, source: Format, hidden: Format) -> dict[str, Array]:
    """Kernels, biases and multipliers of the gates' sums."""
    kernels, recurrents, biases, factors = [], [], [], []
    for place, own, bias in _PLACES:
        for position in (place, own):
            tensor = op.tensor(position)
            if tensor.dtype != np.int8 or tensor.scales.size != 1 or np.any(tensor.zero_points):
                raise op.error("its weights are not of 8 bits with one scale", WITHOUT)
            check_scales(op, tensor)
        kernels.append(op.raw(place).T)
        recurrents.append(op.raw(own).T)
        biases.append(op.raw(bias).astype(np.int64) if op.has(bias) else np.zeros(kernels[-1].shape[1], np.int64))
        steps = (source.step, hidden.step)
        scales = (op.tensor(place).scales[0], op.tensor(own).scales[0])
        products = [float(step) * float(scale) for step, scale in zip(steps, scales, strict=True)]
        factors.append([product / _GATE for product in products])
    m, e = multipliers(np.array(factors).T)
    kernel, recurrent = np.concatenate(kernels, axis=1), np.concatenate(recurrents, axis=1)
    offsets = [
        np.concatenate(biases) - source.zero_point * kernel.sum(axis=0, dtype=np.int64),
        -hidden.zero_point * recurrent.sum(axis=0, dtype=np.int64),
    ]
    bound = max(
        int((np.abs(offset) + 128 * np.abs(part.astype(np.int64)).sum(axis=0)).max())
        for offset, part in zip(offsets, (kernel, recurrent), strict=True)
    )
    if bound << max(int(e.max()), 0) > LARGEST:
        raise op.error("its sums may exceed 32 bits, which cannot be kept", WITHOUT)
    return {
        "kernel": kernel,
        "recurrent": recurrent,
        "input_offset": offsets[0],
        "recurrent_offset": offsets[1],
        "multiplier": m,
        "exponent": e,
    }


def _table() -> Array:
    """sigmoid(i / 24) for i = 0..255, 16 bits behind the point; some are one larger, as the runtime has them."""
    values = np.minimum(np.floor(65536 / (1 + functions.exp(-np.arange(256) / 24)) + 0.5), 65535)
    values[list(_LARGER)] += 1
    return values.astype(np.uint16)


def sigmoid(x: Array, table: Array) -> Array:
    """sigmoid of numbers with 12 bits behind the point, 15 bits behind the point."""
    return _between(x * 3, table, 9, 0, 10)


def tanh(x: Array, table: Array, factor: int, shift: int) -> Array:
    """tanh of x * factor / 3 / 2^shift, numbers with 12 bits behind the point, 15 bits behind the point."""
    return _between((x * factor + (1 << shift >> 1)) >> shift, table, 8, 1 << 23, 8)


def _between(x: Array, table: Array, bits: int, centre: int, places: int) -> Array:
    magnitude = np.abs(x)
    index = np.minimum(magnitude >> bits, 254)
    first, second = table[index].astype(np.int64), table[index + 1].astype(np.int64)
    inner = (first << bits) + (magnitude & (1 << bits) - 1) * (second - first)
    largest = (0x7FFF << 10) if bits == 9 else 0xFFFF << 8
    value = np.where(magnitude >> bits >= 255, largest, inner)
    if bits == 9:
        signed = np.where(x >= 0, value + 512, (1 << 25) - value + 511)
    else:
        signed = np.where(x >= 0, value - centre + 128, -value + centre + 127)
    return np.asarray(signed >> places)


@dataclass(frozen=True, kw_only=True)
class TFLiteLSTM(LSTM):
    """LSTM in TensorFlow Lite Micro's arithmetic: h of 8 bits, c of 16 bits; gates have 12 bits behind the point before, and
    15 after their functions, which interpolate a table. With sat to 16 bits:

    z  = sat(sat(scaled(sum of kernel * x + input_offset)) + sat(scaled(sum of recurrent * h + recurrent_offset)))
    c' = sat(sat(scaled(f * c)) + sat(scaled(i * g))),   h' = clip(scaled(o * tanh(c')) + z_h)

    Constants: those of the sums, ``multiplier`` and ``exponent`` (2, 4) of input and state by gate, ``products`` (2, 3) those
    of f * c, i * g and o * tanh(c), ``cell_factor`` (2,) factor and shift of c before tanh, ``table``, ``cell_limit``.
    """

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"UNIDIRECTIONAL_SEQUENCE_LSTM": keep_tflite}

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        x = inputs[0].astype(np.int64)
        hidden, cell = state or (
            np.full((len(x), self.units), output.zero_point, np.int64),
            np.zeros((len(x), self.units), np.int64),
        )
        sums = x @ constants["kernel"].astype(np.int64) + constants["input_offset"]
        rows = []
        for t in range(x.shape[1]):
            hidden, cell = self._step(sums[:, t], hidden, cell, constants, output)
            rows.append(hidden)
        return np.stack(rows, axis=1).astype(output.dtype), (hidden, cell)

    def _step(
        self, sums: Array, hidden: Array, cell: Array, constants: Mapping[str, Array], output: Format
    ) -> tuple[Array, Array]:
        own = hidden @ constants["recurrent"].astype(np.int64) + constants["recurrent_offset"]
        m, e = (np.repeat(constants[key], self.units, axis=1) for key in ("multiplier", "exponent"))
        z = _short(_short(scaled(sums, m[0], e[0])) + _short(scaled(own, m[1], e[1])))
        i, f, g, o = np.split(z, 4, axis=1)
        table = constants["table"]
        i, f, o = (sigmoid(gate, table) for gate in (i, f, o))
        (m, e), (factor, shift) = constants["products"], constants["cell_factor"].tolist()
        cell = _short(scaled(f * cell, m[0], e[0])) + _short(scaled(i * tanh(g, table, 3, 0), m[1], e[1]))
        limit = int(constants["cell_limit"])
        cell = np.clip(_short(cell), -limit if limit < 32767 else -32768, limit)
        shown = scaled(o * tanh(cell, table, factor, shift), m[2], e[2]) + output.zero_point
        return np.clip(shown, output.low, output.high), cell

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        constants = layer.constants
        kinds = {"input_offset": np.int32, "recurrent_offset": np.int32, "multiplier": np.int32, "exponent": np.int8}
        arrays = {key: np.ascontiguousarray(constants[key].T) for key in ("kernel", "recurrent")}
        arrays |= {key: constants[key].astype(kind) for key, kind in kinds.items()}
        arrays["table"] = constants["table"]
        parameters = {key: constants[key].tolist() for key in ("products", "cell_factor", "cell_limit")}
        steps, channels = layer.shapes[0]
        cost = steps * self.units * (4.0 * 5 * (channels + self.units) + 400)
        routines = (SCALED, Routine("routines/tflite_sigmoid.c.j2"))
        state = 2 * self.units + self.units
        template = f"operators/{self.name}.c.j2"
        scratch = 8 * self.units
        return [Kernel("portable", template, parameters, arrays, scratch, cost, routines, state_bytes=state)]


def _short(x: Array) -> Array:
    return np.asarray(np.clip(x, -32768, 32767))
