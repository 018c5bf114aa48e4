"""Which integers and which fraction lengths do the weights of a layer get, and how does its bias make up for them?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Node
from ggdq_mcu.numerics.functions import exp2, power
from ggdq_mcu.numerics.products import Left
from ggdq_mcu.numerics.solvers import solve, solve_shifted
from ggdq_mcu.numerics.sums import mean, total
from ggdq_mcu.operators.shared.linear import Linear, weight_limits
from ggdq_mcu.quantization.bit_lengths import weight_bits
from ggdq_mcu.quantization.distortion import Levels
from ggdq_mcu.quantization.fraction_length import channel_fraction_lengths, tensor_fraction_length
from ggdq_mcu.quantization.headroom import Expected
from ggdq_mcu.quantization.moments import Moments, Positions, blocks_of, moments_of, outputs, shrunk
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.rounding import output_error, round_in_blocks

Array = NDArray[Any]
_RIDGES = power(
    10.0, np.linspace(-2, 2, 9)
)  # of the mean variance: how firmly trained weights hold against the samples
_ENOUGH = 20  # positions for each product, to trust what they say of products together
_FLOOR = 1e-4  # of the mean variance: keeps Gram matrices positive definite
_OCTAVES = np.linspace(-0.25, 0.5, 13)  # by which a channel's step may be stretched
_FEW_SAMPLES = 25  # up to so many, steps only grow: what a single channel may reach is not known


def quantize_linear(
    node: Node,
    source: Format,
    output: Format,
    options: Options,
    positions: Positions | None,
    channels: Expected | None,
) -> tuple[dict[str, Array], Format]:
    """Integer constants of a linear node, and its output format, whose channel steps may have been stretched.

    ``positions`` has the wanted outputs in real units. ``channels`` tells what the node's output is like by channel
    where its channel steps may be changed, else None.
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
    if positions is None:
        shift = _shifts(matrices, bits, options, None)
        return operator.integers(node.weights, source, output, shift, bits), output
    target, grams = _targets(matrices, in_steps(positions, output), options)
    if channels is not None and options.fit_range:
        stretch = _stretched(target, grams, bits, output, channels, options, operator.rectified)
        target = target / stretch.reshape(target.shape[0], 1, -1)
        output = replace(output, step=output.step * stretch)
    return _integers(node, source, output, bits, options, in_steps(positions, output), grams, target), output


def _targets(matrices: Array, positions: Positions, options: Options) -> tuple[Array, list[Array]]:
    """The weights (G, K, F) that integers should come near to, and the Gram matrices of the blocks of products."""
    target, grams = matrices.copy(), []
    blocks = blocks_of(matrices.shape[1])
    for block in blocks:
        part = positions
        if len(blocks) > 1:
            made = outputs(positions, target) - outputs(positions, target, block)
            part = replace(positions, x=positions.x[:, :, block], y=positions.y - made)
        moments = moments_of(part)
        doubtful = part.drawn or part.x.shape[1] < _ENOUGH * part.x.shape[2]
        grams.append(regularized(shrunk(moments) if doubtful else moments.gram, _FLOOR))
        if options.compensation:
            target[:, block] = _compensated(matrices[:, block], moments)
    return target, grams


def in_steps(positions: Positions, output: Format) -> Positions:
    """The same with the wanted outputs in steps of the output."""
    groups, _, filters = positions.y.shape
    step = np.broadcast_to(np.asarray(output.step, np.float32), groups * filters).reshape(groups, 1, filters)
    return replace(positions, y=positions.y / step)


def regularized(gram: Array, share: float) -> Array:
    """Gram matrices (G, K, K) with ``share`` of their mean variance added to the diagonal."""
    level = mean(np.diagonal(gram, axis1=1, axis2=2), 1)
    return np.asarray(gram + (share * level + 1e-6)[:, None, None] * np.eye(gram.shape[1]))


def _shifts(matrices: Array, bits: int, options: Options, grams: Sequence[Array] | None) -> Array:
    """Fraction lengths (F,) of matrices (G, K, F / G), least error at the output as far as H's diagonal tells."""
    variances = (
        np.ones(()) if grams is None else np.concatenate([np.diagonal(g, axis1=1, axis2=2) for g in grams], axis=1)
    )
    importance = np.broadcast_to(variances[..., None], matrices.shape)
    columns, weights = (part.transpose(1, 0, 2).reshape(part.shape[1], -1) for part in (matrices, importance))
    if options.per_channel:
        return channel_fraction_lengths(columns, bits, importance=weights)
    return np.full(columns.shape[1], tensor_fraction_length(columns, bits, weights))


def _compensated(matrices: Array, moments: Moments) -> Array:
    """Weights that make the wanted outputs from the quantized inputs, by ridge regression around the trained ones.

    The ridge is chosen by cross-validation: weights refitted without a fold of the samples suit that fold best with it. The
    firmest is taken whose error exceeds the best one's by no more than two of that one's standard errors, or the trained
    weights, where theirs does not (after Breiman, Friedman, Olshen and Stone, Classification and Regression Trees, 1984,
    section 3.4.3): the folds' inputs come of layers fitted to all samples, so what they promise is a little too good.
    """
    folds = np.array([_validation_errors(matrices, moments, fold) for fold in moments.folds])
    errors = mean(folds, 0)
    best = int(np.argmin(errors))
    around = folds[:, best] - errors[best]
    limit = errors[best] + 2 * np.sqrt(total(around * around) / (len(folds) - 1) / len(folds))
    if not limit < 0:
        return matrices
    best = int(np.flatnonzero(errors <= limit)[-1])
    strength = regularized(moments.gram, _RIDGES[best]) - moments.gram
    return solve(moments.gram + strength, moments.cross + Left(strength).times(matrices))


def _validation_errors(matrices: Array, moments: Moments, fold: Moments) -> Array:
    """By ridge, mean squared error on ``fold`` of weights refitted without it, less that of the trained weights."""
    count = len(moments.folds)
    gram, cross = (
        (count * whole - part) / (count - 1) for whole, part in ((moments.gram, fold.gram), (moments.cross, fold.cross))
    )
    whole, held_out = Left(gram), Left(fold.gram)
    wanted, apart = cross - whole.times(matrices), fold.cross - held_out.times(matrices)
    level = mean(np.diagonal(gram, axis1=1, axis2=2), 1) + 1e-6
    changes = solve_shifted(gram, wanted, _RIDGES[:, None] * level)
    return np.array([total(change * (held_out.times(change) - 2 * apart)) for change in changes])


def _stretched(
    target: Array,
    grams: Sequence[Array],
    bits: int,
    output: Format,
    channels: Expected,
    options: Options,
    rectified: bool,
) -> Array:
    """Factor (F,) for each channel's step with the least noise of activation and weights together.

    A smaller step clips more, and the channels whose peaks happen to be low in few samples would get the smallest: with n
    samples steps shrink by up to a quarter of an octave * (1 - 25 / n).
    """
    known = 1.0 if channels.peaks is None else 1 - _FEW_SAMPLES / max(len(channels.peaks.above), _FEW_SAMPLES)
    stretches = exp2(_OCTAVES[known * _OCTAVES[0] <= _OCTAVES])
    steps = np.asarray(output.step)[:, None] * stretches
    levels = Levels.of(output.bits, output.signed, output.zero_point)
    costs, seen = channels.distortion(steps, levels), channels.seen
    active = 1 - seen.zeros / np.maximum(seen.samples, 1) if rectified else np.ones(seen.rows)
    lefts = [Left(gram) for gram in grams]
    for i, stretch in enumerate(stretches):
        scaled = target / stretch
        shift = _shifts(scaled, bits, options, grams).reshape(scaled.shape[0], 1, -1)
        rounded = np.clip(np.floor(scaled * np.ldexp(1.0, shift) + 0.5), *weight_limits(bits))
        difference = rounded * np.ldexp(1.0, -shift) - scaled
        blocks = zip(blocks_of(target.shape[1]), lefts, strict=True)
        error = total(np.stack([output_error(difference[:, block], left) for block, left in blocks]), 0)
        costs[:, i] += active * error.reshape(-1) * steps[:, i] ** 2
    return np.asarray(stretches[np.argmin(costs, axis=1)])


def _integers(
    node: Node,
    source: Format,
    output: Format,
    bits: int,
    options: Options,
    positions: Positions,
    grams: Sequence[Array],
    target: Array,
) -> dict[str, Array]:
    operator = node.operator
    assert isinstance(operator, Linear)
    shift = operator.integers(node.weights, source, output, _shifts(target, bits, options, grams), bits)["shift"]
    while True:
        scale = np.ldexp(1.0, shift).reshape(target.shape[0], 1, -1)
        if options.adaptive_rounding:
            rounded = round_in_blocks(target * scale, grams, positions, *weight_limits(bits))
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
    error = positions.y - outputs(positions, matrices)
    bias = mean(error, 1)
    if rectified:
        active = positions.y > 0
        rest = total((error - bias[:, None]) * active, 1) / np.maximum(active.sum(axis=1), 1)
        bias = bias + rest
    return np.asarray(bias.reshape(-1))
