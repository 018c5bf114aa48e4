"""Which integers and which fraction lengths do the weights of a layer get, and how does its bias make up for them?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Node
from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.quantization.distortion import Levels, distortion
from ggdq_mcu.quantization.fraction_length import channel_fraction_lengths, tensor_fraction_length
from ggdq_mcu.quantization.histogram import Histogram
from ggdq_mcu.quantization.moments import Moments, linear_moments
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.rounding import output_error, round_adaptively

Array = NDArray[Any]
_RIDGE = 0.3  # of the mean variance: how far samples may pull the weights away from what training gave
_FLOOR = 1e-4  # of the mean variance: keeps Gram matrices positive definite
_LARGEST_GRAM = 2048
_STRETCHES = np.exp2(np.linspace(-0.5, 0.5, 17))


@dataclass(frozen=True, eq=False)
class Samples:
    """What a layer sees: its inputs in float and quantized (N, ...)."""

    real: Array
    quantized: Array


def quantize_linear(
    node: Node, source: Format, output: Format, options: Options, samples: Samples | None, histogram: Histogram | None
) -> tuple[dict[str, Array], Format]:
    """Integer constants of a linear node, and its output format, whose channel steps may have been stretched.

    ``histogram`` is that of the node's output where its channel steps may be changed, else None.
    """
    operator = node.operator
    assert isinstance(operator, Linear)
    kernel, _ = operator.folded(node.weights, source, output)
    # A fraction length is never negative: where the weights would be too large for that, the output's step has to grow.
    excess = np.abs(kernel).max(initial=0.0) / ((1 << (options.weight_bits - 1)) - 1)
    if excess > 1:
        output, kernel = replace(output, step=output.step * excess), kernel / excess
    matrices = operator.grouped(kernel)
    if samples is None or matrices.shape[1] > _LARGEST_GRAM:
        shift = _shifts(matrices, options, None)
        return operator.integers(node.weights, source, output, shift, options.weight_bits), output
    wanted = operator.accumulate(samples.real, np.asarray(node.weights["kernel"], np.float32), 0.0)
    wanted = (wanted + node.weights.get("bias", 0.0)) / output.step
    moments = linear_moments(operator, samples.quantized, wanted, source.zero_point)
    gram = regularized(moments.gram, _FLOOR)
    target = _compensated(matrices, moments) if options.compensation else matrices
    stretch = np.ones(target.shape[0] * target.shape[2])
    if histogram is not None and options.fit_range:
        stretch = _stretched(target, gram, output, histogram, options, operator.rectified)
        target = target / stretch.reshape(target.shape[0], 1, -1)
        output = replace(output, step=output.step * stretch)
        wanted = wanted / stretch
        moments = replace(moments, y_mean=moments.y_mean / stretch.reshape(moments.y_mean.shape))
    return _integers(node, source, output, options, samples, moments, gram, target, wanted), output


def regularized(gram: Array, share: float) -> Array:
    """Gram matrices (G, K, K) with ``share`` of their mean variance added to the diagonal."""
    mean = np.mean(np.diagonal(gram, axis1=1, axis2=2), axis=1)
    return gram + (share * mean + 1e-6)[:, None, None] * np.eye(gram.shape[1])


def _shifts(matrices: Array, options: Options, gram: Array | None) -> Array:
    """Fraction lengths (F,) of kernel matrices (G, K, F / G) with the least error at the output, as far as H's diagonal tells."""
    importance = (
        np.ones(matrices.shape) if gram is None else np.diagonal(gram, axis1=1, axis2=2)[:, :, None] + 0 * matrices
    )
    columns, weights = (part.transpose(1, 0, 2).reshape(part.shape[1], -1) for part in (matrices, importance))
    if options.per_channel:
        return channel_fraction_lengths(columns, options.weight_bits, importance=weights)
    return np.full(columns.shape[1], tensor_fraction_length(columns, options.weight_bits, weights))


def _compensated(matrices: Array, moments: Moments) -> Array:
    """Weights that make the wanted outputs from the quantized inputs, by ridge regression around the trained ones."""
    strength = regularized(moments.gram, _RIDGE) - moments.gram
    solved: Array = np.linalg.solve(moments.gram + strength, moments.cross + strength @ matrices)
    return solved


def _stretched(
    target: Array, gram: Array, output: Format, histogram: Histogram, options: Options, rectified: bool
) -> Array:
    """Factor (F,) for each channel's step with the least noise of activation and weights together."""
    steps = np.asarray(output.step)[:, None] * _STRETCHES
    levels = Levels.of(output.bits, output.signed, output.zero_point)
    activation = distortion(histogram.channel_distributions(), steps, levels)
    active = 1 - histogram.zeros / np.maximum(histogram.samples, 1) if rectified else np.ones(histogram.channels)
    costs = np.empty_like(activation)
    limit = 1 << (options.weight_bits - 1)
    for i, stretch in enumerate(_STRETCHES):
        scaled = target / stretch
        shift = _shifts(scaled, options, gram).reshape(scaled.shape[0], 1, -1)
        rounded = np.clip(np.floor(scaled * np.exp2(shift) + 0.5), -limit, limit - 1)
        error = output_error(rounded * np.exp2(-shift) - scaled, gram).reshape(-1)
        costs[:, i] = activation[:, i] + active * error * steps[:, i] ** 2
    return _STRETCHES[np.argmin(costs, axis=1)]


def _integers(
    node: Node,
    source: Format,
    output: Format,
    options: Options,
    samples: Samples,
    moments: Moments,
    gram: Array,
    target: Array,
    wanted: Array,
) -> dict[str, Array]:
    operator = node.operator
    assert isinstance(operator, Linear)
    limit = 1 << (options.weight_bits - 1)
    shift = _shifts(target, options, gram)
    weights = dict(node.weights)
    weights["bias"] = np.zeros(len(shift))
    shift = operator.integers(weights, source, output, shift, options.weight_bits)["shift"]
    scale = np.exp2(shift).reshape(target.shape[0], 1, -1)
    if options.adaptive_rounding:
        rounded = round_adaptively(target * scale, gram, -limit, limit - 1)
    else:
        rounded = np.clip(np.floor(target * scale + 0.5), -limit, limit - 1)
    bias = np.asarray(node.weights.get("bias", 0.0), np.float64) / output.step
    if options.bias_correction or options.compensation:
        made = np.einsum("gk,gkf->gf", moments.x_mean, rounded / scale)
        bias = (moments.y_mean - made).reshape(-1)
    if options.bias_correction and operator.rectified:
        bias = bias + _active_error(operator, samples, source, operator.ungrouped(rounded / scale), bias, wanted)
    weights["bias"] = bias * output.step
    return operator.integers(weights, source, output, shift, options.weight_bits, operator.ungrouped(rounded))


def _active_error(
    operator: Linear, samples: Samples, source: Format, kernel: Array, bias: Array, wanted: Array
) -> Array:
    """Mean error (F,) of the sums where the wanted output is positive."""
    real = samples.quantized.astype(np.float32) - np.float32(source.zero_point)
    made = operator.accumulate(real, kernel.astype(np.float32), 0.0) + bias
    active = wanted > 0
    axes = tuple(range(wanted.ndim - 1))
    total: Array = ((wanted - made) * active).sum(axis=axes) / np.maximum(active.sum(axis=axes), 1)
    return total
