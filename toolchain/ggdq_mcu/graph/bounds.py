"""Which integers can a tensor hold, for any input of the network? Interval arithmetic, element by element."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.format import Format

Array = NDArray[Any]


class Bounds(NamedTuple):
    """Smallest and largest integer (1, ...) that each element of a tensor can take; the interval may be too wide."""

    low: Array
    high: Array

    @staticmethod
    def of(format_: Format, shape: tuple[int, ...]) -> Bounds:
        """Everything that a tensor of ``shape`` (without the batch axis) can hold in ``format_``."""
        return Bounds(*(np.full((1, *shape), end, format_.dtype) for end in (format_.low, format_.high)))

    def constant_channels(self) -> Array:
        """The value (C,) of each position of the last axis that is the same at all positions and for all inputs; else NaN."""
        channels = self.low.shape[-1] if self.low.ndim > 1 else 1
        low = self.low.reshape(-1, channels).min(axis=0)
        high = self.high.reshape(-1, channels).max(axis=0)
        return np.where(low == high, low.astype(np.float64), np.nan)
