"""What the recurrent layers have to do in integers, number by number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from cases import clipped, formats, integers, reals
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.shared.recurrent import Recurrent

#: z of every gate, the states and the constants of one unit to the states after the step: hidden first.
Cell = Callable[["Inside", int, dict[str, int], list[list[int]]], list[int]]
functions = st.sampled_from(["tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "elu"])


def options(draw: Callable) -> dict[str, Any]:
    """Any options that recurrent layers share."""
    flags = ("return_sequences", "go_backwards", "input_order", "stateful")
    return {
        "units": draw(st.integers(1, 4)),
        "activation": draw(functions),
        "recurrent_activation": draw(functions),
        **{flag: draw(st.booleans()) for flag in flags},
    }


class Inside:
    """Integers of a layer while it computes one sample."""

    def __init__(self, operator: Recurrent, constants: dict[str, np.ndarray], x: list[list[int]]) -> None:
        self.operator, self.constants = operator, {key: value.tolist() for key, value in constants.items()}
        self.x = x[::-1] if operator.go_backwards else x
        self.step = 0

    def sat(self, value: int) -> int:
        return max(-32767, min(32767, value))

    def shift(self, value: int, by: int) -> int:
        return value >> by if by >= 0 else value << -by

    def round(self, value: int, by: int) -> int:
        return (value + (1 << by >> 1)) >> by

    def input_sum(self, row: int) -> int:
        """X >> fx."""
        c = self.constants
        total = c["input_offset"][row] + sum(w[row] * q for w, q in zip(c["kernel"], self.x[self.step], strict=True))
        return self.shift(total, c["input_shift"][row])

    def recurrent_sum(self, row: int, hidden: list[int]) -> int:
        """H >> fh."""
        c = self.constants
        total = c["recurrent_offset"][row] + sum(w[row] * h for w, h in zip(c["recurrent"], hidden, strict=True))
        return self.shift(total, c["recurrent_shift"][row])

    def z(self, row: int, hidden: list[int]) -> int:
        return self.sat(self.input_sum(row) + self.recurrent_sum(row, hidden))

    def look(self, table: str, q: int) -> int:
        values, u = self.constants[table], q + 32768
        first, second = values[u // 128], values[u // 128 + 1]
        return first + ((second - first) * (u % 128) + 64) // 128


def random_layer(draw: Callable, operator: Recurrent, bias: tuple[int, ...]) -> tuple[Any, ...]:
    """Formats, weights, constants and a batch of two samples."""
    source, output = draw(formats()), draw(formats())
    shape = (draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    rows = operator.gates * operator.units
    scale = draw(st.sampled_from([0.05, 0.5, 20.0]))
    weights = {"kernel": reals(draw, (shape[1], rows), scale), "recurrent": reals(draw, (operator.units, rows), scale)}
    if draw(st.booleans()):
        weights["bias"] = reals(draw, bias, scale)
    q = integers(draw, source, shape)
    return source, output, weights, operator.lower(weights, [source], output, [shape]), q


def check_integers(draw: Callable, operator: Recurrent, bias: tuple[int, ...], cell: Cell) -> None:
    """The integers are the specification's; two halves of a sequence, one after the other, are the whole, if stateful."""
    source, output, _, constants, q = random_layer(draw, operator, bias)
    found = operator.compute_integer([q], constants, [source], output)
    assert found.dtype == output.dtype
    expected = np.stack([_sample(operator, constants, sample, cell) for sample in q.tolist()])
    m, r, n = (constants[key].astype(object) for key in ("multiplier", "offset", "shift"))
    np.testing.assert_array_equal(found, clipped(operator, output, ((m * expected + r) >> n).astype(np.int64)))
    split = len(q[0]) // 2
    if split and not operator.go_backwards:
        _, state = operator.advance([q[:, :split]], constants, [source], output, None)
        rest, _ = operator.advance([q[:, split:]], constants, [source], output, state)
        np.testing.assert_array_equal(rest, found[:, split:] if operator.return_sequences else found)


def _sample(operator: Recurrent, constants: dict[str, np.ndarray], sample: list[list[int]], cell: Cell) -> np.ndarray:
    inside = Inside(operator, constants, sample)
    exponents = dict(zip(operator.maps, inside.constants["exponents"], strict=True))
    states = [[0] * operator.units for _ in range(operator.state_vectors)]
    rows = []
    for inside.step in range(len(sample)):
        after = [cell(inside, unit, exponents, states) for unit in range(operator.units)]
        states = [list(vector) for vector in zip(*after, strict=True)]
        rows.append(states[operator.output_vector])
    sequence = rows[::-1] if operator.go_backwards and operator.input_order else rows
    return np.array(sequence if operator.return_sequences else rows[-1], object)


def check_near_float(operator: Recurrent, bias: tuple[int, ...]) -> None:
    """With 16-bit input and output, only the 8-bit weights are left of the error: 3 % after six steps."""
    generator = np.random.default_rng(3)
    source, output = Format(16, True, 2.0**-12), Format(16, True, 2.0**-11)
    rows = operator.gates * operator.units
    weights = {
        "kernel": generator.normal(0, 0.5, (3, rows)),
        "recurrent": generator.normal(0, 0.3, (operator.units, rows)),
        "bias": generator.normal(0, 0.5, bias),
    }
    real = generator.normal(0, 1, (4, 6, 3))
    constants = operator.lower(weights, [source], output, [(6, 3)])
    found = operator.compute_integer([source.quantize(real)], constants, [source], output)
    wanted = operator.compute([real], weights)
    assert np.abs(output.dequantize(found) - wanted).max() <= 0.03 * np.abs(wanted).max()
