"""How many fraction bits should the weights have? w ≈ q · 2^-f with q an integer of a few bits.

The fraction length f is the one of the smallest squared error over the weights that there are. Letting a few
outliers saturate is often better than the largest f at which none does. (Lin, Talathi and Annapureddy, Fixed
point quantization of deep convolutional networks, ICML 2016, take the best f for a density; this is the best
for the values.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization.histogram import FloatArray, IntArray

LOWEST, HIGHEST = 0, 31
"""Fraction lengths that a right shift of a 32-bit accumulator can undo."""


def quantize(values: ArrayLike, fraction_length: ArrayLike, bits: int, axis: int = -1) -> IntArray:
    """Integers q = saturate(round(value · 2^f)), half rounded up, in -2^(bits-1) .. 2^(bits-1) - 1.

    `fraction_length` is one number, or one for each index of `axis`.
    """
    real = np.asarray(values, np.float64)
    _check(real, bits)
    lengths = _along(np.asarray(fraction_length), real.ndim, axis)
    return _rounded(real, lengths, bits).astype(np.int64)


def tensor_fraction_length(
    values: ArrayLike,
    bits: int,
    importance: ArrayLike | None = None,
    bounds: tuple[int, int] = (LOWEST, HIGHEST),
) -> int:
    """The fraction length of the smallest Σ importance · (value - q 2^-f)² over an array of any shape.

    `importance`, not negative, broadcasts to the values: for instance E[x²] of the input that a weight
    multiplies. Of lengths that are equally good it is the largest, which rounds the bias least; `bounds`
    includes both ends. Zeros have length bits - 1, bounded. Raises GgdqError for values that are not finite
    and for bits outside of 2..32.
    """
    flat, weights = _flat(values, importance)
    return int(_best(flat.reshape(-1, 1), weights.reshape(-1, 1), bits, bounds)[0])


def channel_fraction_lengths(
    values: ArrayLike,
    bits: int,
    axis: int = -1,
    importance: ArrayLike | None = None,
    bounds: tuple[int, int] = (LOWEST, HIGHEST),
) -> IntArray:
    """The same for each index of `axis` on its own: (C,). A channel of zeros has length bits - 1, bounded."""
    flat, weights = _flat(values, importance)
    channels = flat.shape[axis]
    rows, row_weights = (np.moveaxis(part, axis, -1).reshape(-1, channels) for part in (flat, weights))
    return _best(rows, row_weights, bits, bounds)


def _best(values: FloatArray, importance: FloatArray, bits: int, bounds: tuple[int, int]) -> IntArray:
    """Fraction length of each column of values (n, C)."""
    _check(values, bits)
    low, high = bounds
    largest = np.abs(values).max(0, initial=0.0)
    # Here no value saturates, not even by rounding up, so that every lower length is a coarser grid.
    lengths = np.clip(bits - 2 - np.frexp(largest)[1].astype(np.int64), low, high)
    best, least = lengths, _error(values, importance, lengths, bits)
    saturation = _saturation_error(values, importance, lengths, bits)
    while (lengths < high).any():
        lengths, before = np.minimum(lengths + 1, high), saturation
        saturation = _saturation_error(values, importance, lengths, bits)
        # It only grows with the length, even where values are so huge that the floats do not tell.
        worse = (saturation > least) | (before > 0) & (saturation >= least)
        if (worse | (largest == 0)).all():
            break
        error = _error(values, importance, lengths, bits)
        better = (error <= least) & ~worse
        best, least = np.where(better, lengths, best), np.where(better, error, least)
    return np.asarray(np.where(largest > 0, best, np.clip(bits - 1, low, high)), np.int64)


def _error(values: FloatArray, importance: FloatArray, lengths: IntArray, bits: int) -> FloatArray:
    difference = np.ldexp(_rounded(values, lengths, bits), -lengths) - values
    return np.asarray(total(importance * difference**2, 0))


def _saturation_error(values: FloatArray, importance: FloatArray, lengths: IntArray, bits: int) -> FloatArray:
    """What saturation alone costs: the part of the error that no finer grid takes away."""
    beyond = np.maximum(np.abs(values) - np.ldexp(float(1 << (bits - 1)), -lengths), 0)
    return np.asarray(total(importance * beyond**2, 0))


def _rounded(values: FloatArray, lengths: NDArray[np.integer], bits: int) -> FloatArray:
    limit = float(1 << (bits - 1))
    return np.asarray(np.clip(np.floor(np.ldexp(values, lengths) + 0.5), -limit, limit - 1))


def _flat(values: ArrayLike, importance: ArrayLike | None) -> tuple[FloatArray, FloatArray]:
    real = np.asarray(values, np.float64)
    weights = np.ones_like(real) if importance is None else np.asarray(importance, np.float64)
    return real, np.broadcast_to(weights, real.shape)


def _along(lengths: NDArray[np.integer], dimensions: int, axis: int) -> NDArray[np.integer]:
    if lengths.ndim == 0:
        return lengths
    shape = [1] * dimensions
    shape[axis] = -1
    return lengths.reshape(shape)


def _check(values: FloatArray, bits: int) -> None:
    if not 2 <= bits <= 32:
        raise GgdqError(f"{bits} bits for a weight", fix="choose 2 to 16 bits")
    if not np.isfinite(values).all():
        raise GgdqError("a weight is not finite", fix="check the model file")
