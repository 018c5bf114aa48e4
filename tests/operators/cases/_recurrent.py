"""What the recurrent layers have to do in integers, number by number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.shared.recurrent import RECURRENT_FUNCTIONS, Recurrent
from operators.cases import Layer, OnnxCase, Shape, Weights, onnx_nodes
from operators.cases._frameworks import indices, random
from operators.cases._growth import clip
from operators.cases._linear import clips, linear_weights
from operators.draws import clipped, formats, integers, reals

#: z of every gate, the states and the constants of one unit to the states after the step: hidden first.
Cell = Callable[["Inside", int, dict[str, int], list[list[int]]], list[int]]
common = ["tanh", "sigmoid", "hard_sigmoid", "relu"]
functions = st.sampled_from([*common, *common, *sorted(set(RECURRENT_FUNCTIONS) - {"exponential", "leaky_relu"})])


def options(draw: Callable) -> dict[str, Any]:
    """Any options that recurrent layers share."""
    flags = ("return_sequences", "go_backwards", "input_order", "stateful")
    return {
        "units": draw(st.sampled_from([1, 2, 3, 4, 5, 9])),
        "activation": draw(functions),
        "recurrent_activation": draw(functions),
        **{flag: draw(st.booleans()) for flag in flags},
    }


class Inside:
    """Integers of a layer while it computes one sample."""

    def __init__(self, operator: Recurrent, constants: Weights, x: list[list[int]]) -> None:
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


@st.composite
def recurrent_layers(draw: Callable, make: Callable[..., Recurrent]) -> Layer:
    """Weights of 8 or 16 bits, small or so large that gates saturate and rows are shifted left."""
    low, high = draw(clips)
    operator = make(draw, **options(draw), low=low, high=high)
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 9)))
    source = draw(formats((8, 8, 16)))
    source = replace(source, step=draw(st.sampled_from([2.0**-9, 0.05, 1.0])))
    output = draw(formats((8, 8, 16)))
    weights = real_weights(draw, operator, shape, draw(st.sampled_from([0.1, 1.0, 30.0])))
    constants = operator.lower(weights, [source], output, [shape])
    if draw(st.integers(0, 3)) == 0:
        kernels = [constants[key].astype(np.int16) << 8 for key in ("kernel", "recurrent")]
        shifts = [np.minimum(constants[key] + 8, 20) for key in ("input_shift", "recurrent_shift")]
        exponents = operator.exponents({})
        constants = operator.integers(kernels, shifts, operator.biases(weights), source, output, exponents)
    return Layer(operator, (shape,), (source,), output, constants, (integers(draw, source, shape),))


def real_weights(draw: Callable, operator: Recurrent, shape: tuple[int, int], scale: float) -> dict[str, np.ndarray]:
    """Normally distributed, with a bias or without."""
    rows = operator.gates * operator.units
    weights = {"kernel": reals(draw, (shape[1], rows), scale), "recurrent": reals(draw, (operator.units, rows), scale)}
    if draw(st.booleans()):
        weights["bias"] = reals(draw, bias_shape(operator), scale)
    return weights


def bias_shape(operator: Recurrent) -> tuple[int, ...]:
    rows = operator.gates * operator.units
    return (2, rows) if getattr(operator, "reset_after", False) else (rows,)


def check_recurrent(layer: Layer, found: np.ndarray, cell: Cell) -> None:
    """The integers are the specification's; two halves of a sequence, one after the other, are the whole, if stateful."""
    operator, (q,), (source,), output, constants = (
        layer.operator, layer.samples, layer.sources, layer.output, layer.constants,
    )  # fmt: skip
    assert isinstance(operator, Recurrent)
    assert found.dtype == output.dtype
    expected = np.stack([_sample(operator, constants, sample, cell) for sample in q.tolist()])
    m, r, n = (constants[key].astype(object) for key in ("multiplier", "offset", "shift"))
    np.testing.assert_array_equal(found, clipped(operator, output, ((m * expected + r) >> n).astype(np.int64)))
    split = len(q[0]) // 2
    if split and not operator.go_backwards:
        _, state = operator.advance([q[:, :split]], constants, [source], output, None)
        rest, _ = operator.advance([q[:, split:]], constants, [source], output, state)
        np.testing.assert_array_equal(rest, found[:, split:] if operator.return_sequences else found)


def _sample(operator: Recurrent, constants: Weights, sample: list[list[int]], cell: Cell) -> np.ndarray:
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


def grown(make: Callable[..., Recurrent]) -> Callable[..., tuple[Recurrent, Weights]]:
    """Layers for random networks, with functions that are bounded, for values that no step multiplies without end."""

    def layer(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Recurrent, Weights]:
        bounded = st.sampled_from(["tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign"])
        drawn = options(draw) | {"activation": draw(bounded), "recurrent_activation": draw(bounded)}
        operator = make(draw, **drawn, **clip(draw))
        rows, bias = operator.gates * operator.units, draw(st.booleans())
        weights = linear_weights(generator, (shape[-1], rows), rows, bias)
        weights["recurrent"] = linear_weights(generator, (operator.units, rows), rows, False)["kernel"]
        if bias and len(bias_shape(operator)) == 2:
            weights["bias"] = np.stack([weights["bias"], -weights["bias"]])
        return operator, weights

    return layer


def onnx_sequences(kind: str, gates: int, states: int, **attributes: Any) -> Iterator[OnnxCase]:
    """A node of ONNX in every direction, with all its outputs, sequences or steps first, and with states as inputs."""
    made = ["s", "h", "c"][: 1 + states]
    listed = [f"Reshape {name} all -> {name}_row" for name in made]
    joined = ("Concat " + " ".join(f"{name}_row" for name in made) + " -> y", {"axis": 1})
    text = ", ".join(f"{key}={value}" for key, value in attributes.items())
    for direction, count in (("forward", 1), ("reverse", 1), ("bidirectional", 2)):
        weights = {
            "w": random(count, gates * 4, 3, low=-0.7, high=0.7),
            "r": random(count, gates * 4, 4, low=-0.7, high=0.7),
            "b": random(count, 2 * gates * 4, low=-0.3, high=0.3),
        }
        options = {"hidden_size": 4, "direction": direction, **attributes}
        first = (f"{kind} x w r b -> {' '.join(made)}", options)
        name = f"{kind} {direction} {text}"
        yield onnx_nodes(name, (6, 1, 3), [first, *listed, joined], True, all=indices(1, -1), **weights)
        last = (f"{kind} x w r b -> s h", options)
        yield onnx_nodes(f"{name}, last", (6, 1, 3), [last, "Squeeze h -> y"], True, **weights)
    weights = {"w": weights["w"][:1], "r": weights["r"][:1], "b": weights["b"][:1]}
    initial = ("MatMul x m -> wide", {}), ("ReduceMax wide a -> i", {"keepdims": 1})
    given = " ".join(["x", "w", "r", "b", "-", *["i"] * states])
    with_states = (f"{kind} {given} -> {' '.join(made)}", {"hidden_size": 4, **attributes})
    constants = {"m": random(3, 4), "a": indices(0), "all": indices(1, -1), **weights}
    yield onnx_nodes(
        f"{kind} with states {text}", (2, 3, 3), [*initial, with_states, *listed, joined], True, **constants
    )
