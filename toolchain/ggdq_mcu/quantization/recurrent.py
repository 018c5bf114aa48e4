"""How do the weights of a recurrent layer become integers? Each kernel as a linear layer, on what it really multiplies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Node
from ggdq_mcu.numerics.functions import ceil_log2, log2
from ggdq_mcu.numerics.products import product
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.shared.recurrent import LIMIT, Recurrent, largest
from ggdq_mcu.operators.shared.rescale import halves
from ggdq_mcu.quantization.bit_lengths import weight_bits
from ggdq_mcu.quantization.moments import some_positions
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.weights import quantize_linear

Array = NDArray[Any]
_MOST_VALUES = 1 << 24  # of all sums of the samples that are looked at


def quantize_recurrent(
    node: Node, source: Format, output: Format, options: Options, real: Array, quantized: Array
) -> dict[str, Array]:
    """Integer constants; ``real`` and ``quantized`` are the layer's input on the kept samples (N, T, C).

    The exponents of gates, states and all else inside come from the largest magnitudes on these samples, over all steps.
    """
    operator = node.operator
    assert isinstance(operator, Recurrent)
    rows = operator.gates * operator.units
    every = max(1, real.shape[0] * real.shape[1] * rows // _MOST_VALUES)
    real, quantized = real[::every], operator.ordered(quantized[::every])
    seen = operator.observe(real, node.weights)
    exponents = operator.exponents(largest(seen))
    kernel, recurrent = (np.asarray(node.weights[key], np.float32) for key in ("kernel", "recurrent"))
    biases = [np.array(bias, np.float64) for bias in operator.biases(node.weights)]
    steps = [np.ldexp(1.0, -row) for row in operator.rows(exponents)]

    wanted = product(operator.ordered(real), kernel)
    first = _quantized(node, kernel, source, steps[0], options, quantized, wanted)
    state = Format(16, True, 2.0 ** -exponents["hidden"])
    parts = []
    for name, columns in operator.recurrent_inputs():
        values = state.quantize(np.clip(seen[name], -LIMIT * state.step, LIMIT * state.step))
        part = recurrent[:, columns]
        parts.append(_quantized(node, part, state, steps[1][columns], options, values, product(seen[name], part)))
    second = tuple(np.concatenate([part[i] for part in parts], axis=-1) for i in range(3))
    kernels, shifts, corrections = zip(first, second, strict=True)
    biases = [bias + correction for bias, correction in zip(biases, corrections, strict=True)]
    return operator.integers(kernels, shifts, biases, source, output, exponents)


def _quantized(
    node: Node, kernel: Array, source: Format, steps: Array, options: Options, values: Array, wanted: Array
) -> tuple[Array, Array, Array]:
    """A kernel's integers, its fraction lengths, and what makes up for its mean error (real, by row).

    ``values`` (N, T, K) are the integers that it multiplies, ``wanted`` (N, T, rows) the products that it should give.
    """
    linear = Dense(kernel.shape[1])
    bits = weight_bits(node, options)
    # A linear layer's fraction length is never negative: coarser rows than that are quantized for a coarser sum.
    rough = np.abs(kernel * linear.input_step(kernel, np.asarray(source.step)) / steps).max(initial=0.0)
    coarser = int(ceil_log2(max(rough, 1e-30) / ((1 << (bits - 1)) - 1)))
    sums = Format(16, True, steps * 2.0**coarser)
    weights: Mapping[str, Array] = {"kernel": kernel}
    positions = some_positions(linear, values, wanted, source.zero_point)
    constants, used = quantize_linear(
        Node(node.name, linear, node.inputs, weights), source, sums, options, positions, None
    )
    integers, shift = constants["kernel"], constants["shift"]
    offset = constants["bias"] - halves(shift) + source.zero_point * integers.astype(np.int64).sum(axis=0)
    correction = offset * np.ldexp(1.0, -shift) * np.asarray(used.step)
    grown = log2(np.asarray(used.step) / steps)
    return integers, shift - np.round(grown).astype(np.int64), correction
