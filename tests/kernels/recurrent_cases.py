"""Random recurrent layers for the tests on emulated cores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from emulated_library import LayerCase
from hypothesis import strategies as st
from layer_cases import clips, formats, inputs

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.embedding import Embedding
from ggdq_mcu.operators.gru import GRU
from ggdq_mcu.operators.lstm import LSTM
from ggdq_mcu.operators.shared.recurrent import RECURRENT_FUNCTIONS, Recurrent
from ggdq_mcu.operators.simple_rnn import SimpleRNN

functions = st.sampled_from(sorted(set(RECURRENT_FUNCTIONS) - {"exponential", "leaky_relu"}))
common = st.one_of(st.sampled_from(["tanh", "sigmoid", "hard_sigmoid", "relu"]), functions)


@st.composite
def operators(draw: Callable) -> Recurrent:
    """LSTM, GRU of either kind or SimpleRNN, with any of their options."""
    low, high = draw(clips)
    options: dict[str, Any] = {
        "units": draw(st.integers(1, 9)),
        "activation": draw(common),
        "recurrent_activation": draw(common),
        "low": low,
        "high": high,
    }
    for flag in ("return_sequences", "go_backwards", "input_order", "stateful"):
        options[flag] = draw(st.booleans())
    makers = [
        lambda: LSTM(**options, cell_output=draw(st.booleans())),
        lambda: GRU(**options, reset_after=draw(st.booleans())),
        lambda: SimpleRNN(**options),
    ]
    return draw(st.sampled_from(makers))()


@st.composite
def embeddings(draw: Callable) -> LayerCase:
    """Rows of a table, for indices within and beyond it."""
    operator = Embedding(draw(st.sampled_from([1, 5, 200, 256, 300])), draw(st.integers(1, 5)))
    source = draw(st.sampled_from([Format(8, False, 1.0), Format(8, True, 1.0), Format(16, True, 1.0)]))
    output, shape = draw(formats((8, 16))), (draw(st.integers(1, 6)),)
    table = np.random.default_rng(0).normal(0, 1, (operator.count, operator.size))
    constants = operator.lower({"embeddings": table}, [source], output, [shape])
    return LayerCase(operator, (shape,), (source,), output, constants, (inputs(draw, source, shape),))


@st.composite
def recurrent_layers(draw: Callable) -> LayerCase:
    """Weights of 8 or 16 bits, small or so large that gates saturate and rows are shifted left."""
    operator = draw(operators())
    shape = (draw(st.integers(1, 4)), draw(st.integers(1, 9)))
    source = draw(formats((8, 8, 16)))
    source = Format(source.bits, source.signed, draw(st.sampled_from([2.0**-9, 0.05, 1.0])), source.zero_point)
    output = draw(formats((8, 8, 16)))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    scale = draw(st.sampled_from([0.1, 1.0, 30.0]))
    rows = operator.gates * operator.units
    weights = {
        "kernel": generator.normal(0, scale, (shape[1], rows)),
        "recurrent": generator.normal(0, scale, (operator.units, rows)),
    }
    if draw(st.booleans()):
        reset_after = isinstance(operator, GRU) and operator.reset_after
        weights["bias"] = generator.normal(0, scale, (2, rows) if reset_after else rows)
    constants = operator.lower(weights, [source], output, [shape])
    if draw(st.integers(0, 3)) == 0:
        kernels = [constants[key].astype(np.int16) << 8 for key in ("kernel", "recurrent")]
        shifts = [np.minimum(constants[key] + 8, 20) for key in ("input_shift", "recurrent_shift")]
        biases = operator.biases(weights)
        exponents = operator.exponents({})
        constants = operator.integers(kernels, shifts, biases, source, output, exponents)
    return LayerCase(operator, (shape,), (source,), output, constants, (inputs(draw, source, shape),))
