"""A real Fourier transform in 16-bit integers: the arithmetic of TensorFlow Lite Micro's audio front end.

A frame of n real values is n / 2 complex ones, transformed in factors of 4 (and of 2 last), each of which first divides by its
size; so the result is the transform divided by n. What does not fit 16 bits wraps around.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.circular import cos, sin

Array = NDArray[Any]
_BITS = 15  # of rotations, behind the point
_ONE = (1 << _BITS) - 1


def factors_of(count: int) -> list[int]:
    """The factors of a power of two: 4 as often as there is one, and a 2 at the end.

    >>> factors_of(32)
    [4, 4, 2]
    """
    bits = count.bit_length() - 1
    return [4] * (bits // 2) + [2] * (bits % 2)


@cache
def rotations(count: int, bits: int = _BITS) -> Array:
    """exp(-2 pi i k / count) for k below ``count``: (count, 2) real and imaginary parts, ``bits`` bits behind the point."""
    return _circle(-2.0 * math.pi * np.arange(count) / count, bits)


@cache
def half_rotations(count: int, bits: int = _BITS) -> Array:
    """exp(-pi i ((k + 1) / count + 1 / 2)) for k below count / 2, which part a real transform's two halves."""
    return _circle(-math.pi * ((np.arange(count // 2) + 1) / count + 0.5), bits)


def _circle(angles: Array, bits: int) -> Array:
    points = np.stack([cos(angles), sin(angles)], axis=-1)
    return np.floor(0.5 + ((1 << bits) - 1) * points).astype(np.int64)


def tables(half: int) -> dict[str, Array]:
    """What the C reads for a transform of ``half`` complex values: their places, and rotations."""
    return {
        "places": places(half).astype(np.uint16),
        "circle": rotations(half).astype(np.int16),
        "halves": half_rotations(half).astype(np.int16),
    }


@cache
def places(count: int) -> Array:
    """Where the transform wants each of ``count`` complex values, to be computed in place: its digits backwards."""
    result = np.zeros(count, np.int64)
    rest, block = np.arange(count), count
    for factor in factors_of(count):
        block //= factor
        result += rest % factor * block
        rest //= factor
    return result


def cost(half: int) -> float:
    """Instructions of a transform of ``half`` complex values on a Cortex-M4, about."""
    return sum(half / factor * 24.0 * factor for factor in factors_of(half)) + 30.0 * half


def real_transform(frames: Array, size: int) -> Array:
    """Transform of real frames (..., n), followed by zeros up to ``size``: (..., size / 2 + 1, 2), int64 within int16."""
    half = size // 2
    padded = np.zeros((*frames.shape[:-1], size), np.int64)
    padded[..., : frames.shape[-1]] = frames
    pairs = padded.reshape(*frames.shape[:-1], half, 2)
    z = _transform(pairs, factors_of(half), rotations(half))
    return _parted(z, half)


def _parted(z: Array, half: int) -> Array:
    """The transform of real values from that of pairs of them."""
    result = np.zeros((*z.shape[:-2], half + 1, 2), np.int64)
    first = _divided(z[..., 0, :], 2)
    result[..., 0, 0] = _wrap(first[..., 0] + first[..., 1])
    result[..., half, 0] = _wrap(first[..., 0] - first[..., 1])
    k = np.arange(1, half // 2 + 1)
    low = _divided(z[..., k, :], 2)
    high = _divided(_wrap(z[..., half - k, :] * [1, -1]), 2)
    total, difference = _wrap(low + high), _wrap(low - high)
    turned = _product(difference, half_rotations(half)[k - 1])
    result[..., k, :] = _wrap((total + turned) >> 1)
    result[..., half - k, :] = _wrap(((total - turned) * [1, -1]) >> 1)
    return result


def _transform(z: Array, factors: list[int], circle: Array) -> Array:
    """Transform of (..., n, 2), where ``circle`` has as many points as the whole transform."""
    if not factors:
        return z
    radix, count = factors[0], z.shape[-2]
    part = count // radix
    stride = len(circle) // count
    parts = [_divided(_transform(z[..., r::radix, :], factors[1:], circle), radix) for r in range(radix)]
    k = np.arange(part)
    turned = [parts[0], *(_product(parts[r], circle[k * stride * r]) for r in range(1, radix))]
    if radix == 2:
        return _wrap(np.concatenate([turned[0] + turned[1], turned[0] - turned[1]], axis=-2))
    even, odd = _wrap(turned[0] + turned[2]), _wrap(turned[0] - turned[2])
    both, across = _wrap(turned[1] + turned[3]), _wrap(turned[1] - turned[3])
    quarter = across[..., ::-1] * [1, -1]  # -i times it
    return _wrap(np.concatenate([even + both, odd + quarter, even - both, odd - quarter], axis=-2))


def _divided(z: Array, by: int) -> Array:
    """z / by by a factor of 15 bits, rounded half up."""
    return _wrap((z * (_ONE // by) + (1 << 14)) >> 15)


def _product(a: Array, b: Array) -> Array:
    """Complex products with 15 bits behind the point, rounded half up."""
    real = a[..., 0] * b[..., 0] - a[..., 1] * b[..., 1]
    imaginary = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
    return _wrap((np.stack([real, imaginary], axis=-1) + (1 << 14)) >> 15)


def _wrap(value: Array) -> Array:
    return value.astype(np.int16).astype(np.int64)
