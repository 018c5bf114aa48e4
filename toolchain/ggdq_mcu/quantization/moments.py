"""What do the samples say about a linear layer: how do its quantized inputs and its wanted outputs vary together?"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.products import with_whole
from ggdq_mcu.numerics.sums import mean, total
from ggdq_mcu.operators.shared.linear import Linear

Array = NDArray[Any]
_FEWEST_ROWS, _ROWS_PER_PRODUCT = 10_000, 60
_MOST_VALUES = 1 << 26  # of the inputs, for layers of very many products
_LARGEST_BLOCK = 1024  # products whose Gram matrix is looked at as a whole
_LARGEST_GRAMS = 1 << 25  # elements of all blocks' Gram matrices together
_BATCH = 4
_FEWEST_SINGLE = 64  # positions whose products float32 adds exactly, for it to be worth while
_FOLDS = 4  # for what is chosen by cross-validation


@dataclass(frozen=True, eq=False)
class Positions:
    """What a linear layer reads and should give at some of its output positions, by group of channels.

    x (G, R, K): quantized inputs less their zero point; y (G, R, F): wanted outputs without clip; float32. ``drawn``: are the
    samples no real ones?
    """

    x: Array
    y: Array
    drawn: bool = False


@dataclass(frozen=True, eq=False)
class Moments:
    """Over positions, by group of channels: how the inputs x (K) and the wanted outputs y (F) vary together.

    gram (G, K, K) = Cov(x, x), cross (G, K, F) = Cov(x, y); ``folds`` are these of each part of the positions, in order, which
    come from different samples, about the means of all.
    """

    gram: Array
    cross: Array
    folds: tuple[Moments, ...] = ()


def some_positions(
    operator: Linear, quantized: Array, wanted: Array, zero_point: int, padding_value: int = 0
) -> Positions:
    """Positions spread evenly over samples (N, ...) and image rows, as many as the layer's products ask for.

    ``quantized`` (N, ...) are the layer's integer inputs, ``wanted`` (N, ..., F) its sums of real numbers;
    ``padding_value`` is what is padded, counted from the zero point.
    """
    channels = wanted.shape[-1]
    products = operator.columns(quantized[:1].astype(np.float32), 0.0)[0].shape[-1]
    most = min(max(_FEWEST_ROWS, _ROWS_PER_PRODUCT * products), max(1, _MOST_VALUES // products))
    stride = max(1, wanted.size // channels // most)
    by_row = min(stride, wanted.shape[1]) if wanted.ndim > 2 else 1
    by_sample = stride // by_row
    quantized, wanted = quantized[::by_sample], wanted[::by_sample]
    xs, ys = [], []
    for start in range(0, len(quantized), _BATCH):
        rows = slice(start // _BATCH % by_row, None, by_row)
        batch = quantized[start : start + _BATCH].astype(np.float32) - np.float32(zero_point)
        columns = operator.columns(batch, padding_value, rows)
        xs.append(np.stack([column.reshape(-1, products) for column in columns]))
        part = wanted[start : start + _BATCH]
        part = part[:, rows] if part.ndim > 2 else part
        ys.append(part.reshape(-1, len(columns), channels // len(columns)).transpose(1, 0, 2))
    return Positions(np.concatenate(xs, axis=1), np.concatenate(ys, axis=1).astype(np.float32))


def blocks_of(products: int) -> list[slice]:
    """The products of a layer in blocks small enough for Gram matrices: one, for all but very wide layers."""
    size = min(_LARGEST_BLOCK, max(1, _LARGEST_GRAMS // products))
    count = -(-products // size)
    edges = [products * i // count for i in range(count + 1)]
    return [slice(*ends) for ends in pairwise(edges)]


def outputs(positions: Positions, matrices: Array, block: slice = slice(None)) -> Array:
    """What weights (G, K, F) make of the inputs of a block of products: (G, R, F)."""
    return with_whole(positions.x[:, :, block], matrices[:, block])


def covariance(x: Array, y: Array) -> Array:
    """Cov(x, y) (G, K, F) of values at positions, (G, R, K), whole numbers, and (G, R, F)."""
    x, y = _near_mean(x), y - mean(y, 1, keepdims=True)
    offset = total(x, 1) / x.shape[1]
    products = with_whole(x.transpose(0, 2, 1), y) - offset[:, :, None] * total(y, 1)[:, None]
    return np.asarray(products / x.shape[1])


def moments_of(positions: Positions) -> Moments:
    """Covariances; sums of products of the inputs are whole numbers, and exact."""
    x, y = _near_mean(positions.x), positions.y - mean(positions.y, 1, keepdims=True)
    offset = total(x, 1) / x.shape[1]
    edges = [x.shape[1] * i // _FOLDS for i in range(_FOLDS + 1)]
    folds = [_covariances(x[:, start:stop], y[:, start:stop], offset) for start, stop in pairwise(edges)]
    shares = [(stop - start) / x.shape[1] for start, stop in pairwise(edges)]
    gram, cross = (
        sum((share * part for share, part in zip(shares[1:], parts[1:], strict=True)), shares[0] * parts[0])
        for parts in zip(*folds, strict=True)
    )
    return Moments(gram, cross, tuple(Moments(*fold) for fold in folds))


def shrunk(moments: Moments) -> Array:
    """Gram matrices (G, K, K) with covariances moved towards 0 as far as the folds disagree on them.

    The share that brings them nearest to the truth is the variance of their means over the folds in their squares (Schäfer
    and Strimmer, Statistical Applications in Genetics and Molecular Biology 4(1), 2005, target D): where a layer has fewer
    positions than products, what the samples say of these together is mostly chance.
    """
    folds = np.stack([fold.gram for fold in moments.folds])
    apart = 1 - np.eye(folds.shape[-1])
    around = folds - mean(folds, 0)
    variance = total(total(around * around, 0) * apart, (1, 2)) / ((len(folds) - 1) * len(folds))
    share = np.minimum(variance / np.maximum(total(moments.gram**2 * apart, (1, 2)), 1e-300), 1.0)
    return np.asarray(moments.gram * (1 - share[:, None, None] * apart))


def _covariances(x: Array, y: Array, offset: Array) -> tuple[Array, Array]:
    """Of x and of x with y, for whole numbers x (G, R, K) with the mean ``offset`` (G, K), and y with the mean 0."""
    count = max(x.shape[1], 1)
    sums, turned = total(x, 1), x.transpose(0, 2, 1)
    gram = _squares(x) - sums[:, :, None] * offset[:, None] - offset[:, :, None] * sums[:, None]
    cross = with_whole(turned, y) - offset[:, :, None] * total(y, 1)[:, None]
    return gram / count + offset[:, :, None] * offset[:, None], cross / count


def _squares(x: Array) -> Array:
    """x' x (G, K, K) of whole numbers x (G, R, K): exact, as all sums are below 2^24 in float32, or 2^53 in float64."""
    largest = float(np.maximum(x.max(initial=1), -x.min(initial=-1)))
    rows = int(2.0**24 / (largest * largest))
    if rows < _FEWEST_SINGLE:
        wide = x.astype(np.float64)
        return wide.transpose(0, 2, 1) @ wide
    result = np.zeros((x.shape[0], x.shape[2], x.shape[2]))
    for start in range(0, x.shape[1], rows):
        part = x[:, start : start + rows]
        result += part.transpose(0, 2, 1) @ part
    return result


def _near_mean(x: Array) -> Array:
    """Whole numbers (G, R, K) less their rounded mean over positions."""
    return np.asarray(x - np.rint(mean(x, 1, keepdims=True)).astype(x.dtype))
