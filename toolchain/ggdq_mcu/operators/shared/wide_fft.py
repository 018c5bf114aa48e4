"""A real Fourier transform of 32-bit integers, for spectra whose quiet parts matter beside loud ones.

A frame of n real values is n / 2 complex ones, transformed in factors of 4 (and of 2 last); each divides by its size before it
adds, so nothing can overflow where inputs are below 2^30, and the result is the transform divided by n. Rotations have 31 bits
behind the point, those by 1 left out; products are rounded down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.shared.signal_fft import factors_of, half_rotations, places, rotations

Array = NDArray[Any]
_BITS = 31  # of rotations, behind the point


def tables(half: int) -> dict[str, Array]:
    """What the C reads for a transform of ``half`` complex values: their places, and rotations."""
    return {
        "places": places(half).astype(np.uint16),
        "circle": rotations(half, _BITS)[: max(3 * half // 4, 1)].astype(np.int32),
        "halves": half_rotations(half, _BITS).astype(np.int32),
    }


def cost(half: int) -> float:
    """Instructions of a transform of ``half`` complex values on a Cortex-M4, about."""
    return sum(half / factor * 17.0 * factor for factor in factors_of(half)) + 30.0 * half


def real_transform(frames: Array, size: int) -> Array:
    """Transform of real frames (..., size), int64 below 2^30: (..., size / 2 + 1, 2)."""
    half = size // 2
    z: Array = _transform(frames.reshape(*frames.shape[:-1], half, 2), factors_of(half), rotations(half, _BITS))
    result = np.zeros((*z.shape[:-2], half + 1, 2), np.int64)
    first = z[..., 0, :] >> 1
    result[..., 0, 0] = first[..., 0] + first[..., 1]
    result[..., half, 0] = first[..., 0] - first[..., 1]
    k = np.arange(1, half // 2 + 1)
    low, high = z[..., k, :] >> 1, (z[..., half - k, :] >> 1) * np.array([1, -1])
    total = low + high
    turned = _product(low - high, half_rotations(half, _BITS)[k - 1], _BITS)
    result[..., k, :] = (total + turned) >> 1
    result[..., half - k, :] = ((total - turned) * np.array([1, -1])) >> 1
    return result


def _transform(z: Array, factors: list[int], circle: Array) -> Array:
    if not factors:
        return z
    radix, count = factors[0], z.shape[-2]
    part, stride, shift = count // radix, len(circle) // count, radix.bit_length() - 1
    parts = [_transform(z[..., r::radix, :], factors[1:], circle) for r in range(radix)]
    k = np.arange(part)
    turned = [parts[0] >> shift]
    for r in range(1, radix):
        rest = _product(parts[r][..., 1:, :], circle[k[1:] * stride * r], _BITS + shift)
        turned.append(np.concatenate([parts[r][..., :1, :] >> shift, rest], axis=-2))
    if radix == 2:
        return np.concatenate([turned[0] + turned[1], turned[0] - turned[1]], axis=-2)
    even, odd = turned[0] + turned[2], turned[0] - turned[2]
    both, across = turned[1] + turned[3], turned[1] - turned[3]
    quarter = across[..., ::-1] * np.array([1, -1])  # -i times it
    return np.concatenate([even + both, odd + quarter, even - both, odd - quarter], axis=-2)


def _product(a: Array, b: Array, shift: int) -> Array:
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    imaginary = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
    return np.asarray(np.stack([real, imaginary], axis=-1) >> shift)
