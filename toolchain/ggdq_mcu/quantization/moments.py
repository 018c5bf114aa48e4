"""What do the samples say about a linear layer: how do its quantized inputs and its wanted outputs vary together?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._linear import Linear

Array = NDArray[Any]
_MOST_ROWS = 40_000
_BATCH = 20


@dataclass(frozen=True, eq=False)
class Moments:
    """Over the output positions of all samples, by group of channels: of the inputs x (K) and the wanted outputs y (F).

    x_mean (G, K), y_mean (G, F), gram (G, K, K) = Cov(x, x), cross (G, K, F) = Cov(x, y)
    """

    x_mean: Array
    y_mean: Array
    gram: Array
    cross: Array


def linear_moments(operator: Linear, quantized: Array, wanted: Array, zero_point: int) -> Moments:
    """Moments of quantized inputs (N, ...) less their zero point, and of wanted outputs (N, ..., F) without clip."""
    positions = wanted.size // wanted.shape[-1]
    stride = max(1, -(-positions // _MOST_ROWS))
    sums: list[Array] = []
    count = 0
    for start in range(0, len(quantized), _BATCH):
        batch = quantized[start : start + _BATCH].astype(np.float32) - np.float32(zero_point)
        columns = operator.columns(batch, 0.0)
        groups = len(columns)
        offset = (start // _BATCH) % stride
        x = np.stack([column.reshape(-1, column.shape[-1])[offset::stride] for column in columns])
        y = wanted[start : start + _BATCH].reshape(-1, groups, wanted.shape[-1] // groups)[offset::stride]
        y = y.transpose(1, 0, 2).astype(np.float32)
        count += x.shape[1]
        xt = x.transpose(0, 2, 1)
        parts = [x.sum(axis=1, dtype=np.float64), y.sum(axis=1, dtype=np.float64)]
        parts += [(xt @ x).astype(np.float64), (xt @ y).astype(np.float64)]
        sums = parts if not sums else [a + b for a, b in zip(sums, parts, strict=True)]
    x_mean, y_mean, gram, cross = (value / count for value in sums)
    gram = gram - x_mean[:, :, None] * x_mean[:, None, :]
    cross = cross - x_mean[:, :, None] * y_mean[:, None, :]
    return Moments(x_mean, y_mean, gram, cross)
