"""What do the samples say about a linear layer: how do its quantized inputs and its wanted outputs vary together?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._linear import Linear

Array = NDArray[Any]
_FEWEST_ROWS, _ROWS_PER_PRODUCT = 10_000, 60
_BATCH = 4


@dataclass(frozen=True, eq=False)
class Positions:
    """What a linear layer reads and should give at some of its output positions, by group of channels.

    x (G, R, K): quantized inputs less their zero point; y (G, R, F): wanted outputs without clip; float32.
    """

    x: Array
    y: Array


@dataclass(frozen=True, eq=False)
class Moments:
    """Over positions, by group of channels: of the inputs x (K) and the wanted outputs y (F).

    x_mean (G, K), y_mean (G, F), gram (G, K, K) = Cov(x, x), cross (G, K, F) = Cov(x, y)
    """

    x_mean: Array
    y_mean: Array
    gram: Array
    cross: Array


def some_positions(operator: Linear, quantized: Array, wanted: Array, zero_point: int) -> Positions:
    """Positions spread evenly over samples (N, ...) and image rows, as many as the layer's products ask for.

    ``quantized`` (N, ...) are the layer's integer inputs, ``wanted`` (N, ..., F) its sums of real numbers.
    """
    channels = wanted.shape[-1]
    products = operator.columns(quantized[:1].astype(np.float32), 0.0)[0].shape[-1]
    stride = max(1, wanted.size // channels // max(_FEWEST_ROWS, _ROWS_PER_PRODUCT * products))
    by_row = min(stride, wanted.shape[1]) if wanted.ndim > 2 else 1
    by_sample = stride // by_row
    quantized, wanted = quantized[::by_sample], wanted[::by_sample]
    xs, ys = [], []
    for start in range(0, len(quantized), _BATCH):
        rows = slice(start // _BATCH % by_row, None, by_row)
        batch = quantized[start : start + _BATCH].astype(np.float32) - np.float32(zero_point)
        columns = operator.columns(batch, 0.0, rows)
        xs.append(np.stack([column.reshape(-1, products) for column in columns]))
        part = wanted[start : start + _BATCH]
        part = part[:, rows] if part.ndim > 2 else part
        ys.append(part.reshape(-1, len(columns), channels // len(columns)).transpose(1, 0, 2))
    return Positions(np.concatenate(xs, axis=1), np.concatenate(ys, axis=1).astype(np.float32))


def moments_of(positions: Positions) -> Moments:
    """Means and covariances; the sums are of float32 products, which is enough for what is chosen by them."""
    x, y = positions.x, positions.y
    x_mean, y_mean = x.mean(axis=1, dtype=np.float64), y.mean(axis=1, dtype=np.float64)
    centred = x - x_mean[:, None].astype(np.float32)
    transposed = centred.transpose(0, 2, 1)
    gram = (transposed @ centred).astype(np.float64) / x.shape[1]
    cross = (transposed @ (y - y_mean[:, None].astype(np.float32))).astype(np.float64) / x.shape[1]
    return Moments(x_mean, y_mean, gram, cross)
