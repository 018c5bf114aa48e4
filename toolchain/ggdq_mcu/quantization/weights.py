"""Which integers and which fraction lengths do the weights of a layer get, and how does its bias make up for them?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Node
from ggdq_mcu.operators._linear import Linear, weight_limits
from ggdq_mcu.quantization.bit_lengths import weight_bits
from ggdq_mcu.quantization.distortion import Levels, distortion
from ggdq_mcu.quantization.fraction_length import channel_fraction_lengths, tensor_fraction_length
from ggdq_mcu.quantization.histogram import Histogram
from ggdq_mcu.quantization.moments import Moments, Positions, moments_of
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.rounding import output_error, round_adaptively

Array = NDArray[Any]
_RIDGE = 3.0  # of the mean variance: how far samples may pull the weights away from what training gave
_FLOOR = 1e-4  # of the mean variance: keeps Gram matrices positive definite
_LARGEST_GRAM = 2048
_STRETCHES = np.exp2(np.linspace(-0.5, 0.5, 17))


def quantize_linear(
    node: Node,
    source: Format,
    output: Format,
    options: Options,
    positions: Positions | None,
    histogram: Histogram | None,
) -> tuple[dict[str, Array], Format]:
    """Integer constants of a linear node, and its output format, whose channel steps may have been stretched.

    ``positions`` has the wanted outputs in real units. ``histogram`` is that of the node's output where its channel
    steps may be changed, else None.
    """
    operator = node.operator
    assert isinstance(operator, Linear)
    bits = weight_bits(node, options)
    kernel, _ = operator.folded(node.weights, source, output)
    # A fraction length is never negative: where the weights would be too large for that, the output's step has to grow.
    excess = np.abs(kernel).max(initial=0.0) / ((1 << (bits - 1)) - 1)
    if excess > 1:
        output, kernel = replace(output, step=output.step * excess), kernel / excess
    matrices = operator.grouped(kernel)
    if positions is None or matrices.shape[1] > _LARGEST_GRAM:
        shift = _shifts(matrices, bits, options, None)
        return operator.integers(node.weights, source, output, shift, bits), output
    moments = moments_of(in_steps(positions, output))
    gram = regularized(moments.gram, _FLOOR)
    target = _compensated(matrices, moments) if options.compensation else matrices
    if histogram is not None and options.fit_range:
        stretch = _stretched(target, gram, bits, output, histogram, options, operator.rectified)
        target = target / stretch.reshape(target.shape[0], 1, -1)
        output = replace(output, step=output.step * stretch)
    return _integers(node, source, output, bits, options, in_steps(positions, output), gram, target), output


def in_steps(positions: Positions, output: Format) -> Positions:
    """The same with the wanted outputs in steps of the output."""
    groups, _, filters = positions.y.shape
    step = np.broadcast_to(np.asarray(output.step, np.float32), groups * filters).reshape(groups, 1, filters)
    return replace(positions, y=positions.y / step)


def regularized(gram: Array, share: float) -> Array:
    """Gram matrices (G, K, K) with ``share`` of their mean variance added to the diagonal."""
    mean = np.mean(np.diagonal(gram, axis1=1, axis2=2), axis=1)
    return np.asarray(gram + (share * mean + 1e-6)[:, None, None] * np.eye(gram.shape[1]))


def _shifts(matrices: Array, bits: int, options: Options, gram: Array | None) -> Array:
    """Fraction lengths (F,) of matrices (G, K, F / G), least error at the output as far as H's diagonal tells."""
    importance = (
        np.ones(matrices.shape) if gram is None else np.diagonal(gram, axis1=1, axis2=2)[:, :, None] + 0 * matrices
    )
    columns, weights = (part.transpose(1, 0, 2).reshape(part.shape[1], -1) for part in (matrices, importance))
    if options.per_channel:
        return channel_fraction_lengths(columns, bits, importance=weights)
    return np.full(columns.shape[1], tensor_fraction_length(columns, bits, weights))


def _compensated(matrices: Array, moments: Moments) -> Array:
    """Weights that make the wanted outputs from the quantized inputs, by ridge regression around the trained ones."""
    strength = regularized(moments.gram, _RIDGE) - moments.gram
    return np.asarray(np.linalg.solve(moments.gram + strength, moments.cross + strength @ matrices))


def _stretched(
    target: Array, gram: Array, bits: int, output: Format, histogram: Histogram, options: Options, rectified: bool
) -> Array:
    """Factor (F,) for each channel's step with the least noise of activation and weights together."""
    steps = np.asarray(output.step)[:, None] * _STRETCHES
    levels = Levels.of(output.bits, output.signed, output.zero_point)
    activation = distortion(histogram.channel_distributions(), steps, levels)
    active = 1 - histogram.zeros / np.maximum(histogram.samples, 1) if rectified else np.ones(histogram.channels)
    costs = np.empty_like(activation)
    for i, stretch in enumerate(_STRETCHES):
        scaled = target / stretch
        shift = _shifts(scaled, bits, options, gram).reshape(scaled.shape[0], 1, -1)
        rounded = np.clip(np.floor(scaled * np.exp2(shift) + 0.5), *weight_limits(bits))
        error = output_error(rounded * np.exp2(-shift) - scaled, gram).reshape(-1)
        costs[:, i] = activation[:, i] + active * error * steps[:, i] ** 2
    return np.asarray(_STRETCHES[np.argmin(costs, axis=1)])


def _integers(
    node: Node,
    source: Format,
    output: Format,
    bits: int,
    options: Options,
    positions: Positions,
    gram: Array,
    target: Array,
) -> dict[str, Array]:
    operator = node.operator
    assert isinstance(operator, Linear)
    shift = operator.integers(node.weights, source, output, _shifts(target, bits, options, gram), bits)["shift"]
    while True:
        scale = np.exp2(shift).reshape(target.shape[0], 1, -1)
        if options.adaptive_rounding:
            rounded = round_adaptively(target * scale, gram, *weight_limits(bits))
        else:
            rounded = np.clip(np.floor(target * scale + 0.5), *weight_limits(bits))
        weights = dict(node.weights)
        if options.bias_correction or options.compensation:
            bias = _corrected(positions, rounded / scale, operator.rectified and options.bias_correction)
            weights["bias"] = bias * output.step
        constants = operator.integers(weights, source, output, shift, bits, operator.ungrouped(rounded))
        if np.array_equal(constants["shift"], shift):
            return constants
        shift = constants["shift"]  # the corrected bias needs more room; fraction lengths only ever fall


def _corrected(positions: Positions, matrices: Array, rectified: bool) -> Array:
    """The bias (F,) that leaves no mean error, of a rectified layer where the wanted output is positive."""
    error = positions.y - positions.x @ matrices.astype(np.float32)
    bias = error.mean(axis=1, dtype=np.float64)
    if rectified:
        active = positions.y > 0
        rest = ((error - bias[:, None]) * active).sum(axis=1, dtype=np.float64) / np.maximum(active.sum(axis=1), 1)
        bias = bias + rest
    return np.asarray(bias.reshape(-1))
