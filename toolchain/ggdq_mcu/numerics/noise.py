"""Random numbers that are the same everywhere: NumPy's bit generator, whose stream is fixed, and the polar method."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import log

Array = NDArray[Any]


class Noise:
    """A stream of random numbers from a seed."""

    def __init__(self, seed: int) -> None:
        self._bits = np.random.PCG64(seed)

    def uniform(self, count: int) -> Array:
        """(count,) multiples of 2^-53 from 0 on, below 1."""
        raw = np.asarray(self._bits.random_raw(count), np.uint64)
        return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, low: int, high: int, shape: tuple[int, ...]) -> Array:
        """Whole numbers from ``low`` to ``high``, both included, int64; at most 2^31 of them."""
        raw = np.asarray(self._bits.random_raw(prod(shape)), np.uint64)
        return (low + ((raw >> np.uint64(32)) * np.uint64(high - low + 1) >> np.uint64(32)).astype(np.int64)).reshape(
            shape
        )

    def normal(self, shape: tuple[int, ...]) -> Array:
        """Normal variates of mean 0 and deviation 1, float64 (Marsaglia and Bray, SIAM Review 6(3), 1964)."""
        wanted, parts, found = prod(shape), [np.empty(0)], 0
        while found < wanted:
            # Two of pi / 4 of the points are of use; a fixed share more, so that one turn is enough for most.
            u = 2 * self.uniform(2 * ((wanted - found) * 21 // 32 + 8)).reshape(2, -1) - 1
            square = u[0] * u[0] + u[1] * u[1]
            inside = (square > 0) & (square < 1)
            radius = np.sqrt(-2 * log(square[inside]) / square[inside])
            parts.append((u[:, inside] * radius).ravel())
            found += 2 * len(radius)
        return np.concatenate(parts)[:wanted].reshape(shape)
