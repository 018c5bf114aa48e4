"""How does TFLite change the step of an integer? A 31-bit multiplier and a power of two, rounded twice.

With a real factor M = m * 2^(e - 31), 2^30 <= m < 2^31:

    high   = (x * 2^max(e, 0) * m + 2^30) >> 31              half up
    scaled = high / 2^max(-e, 0)                             half away from zero

This is the arithmetic of TFLite's reference kernels
(https://ai.google.dev/edge/litert/models/quantization_spec), with two exceptions: sums of 64
bits are multiplied by 15 bits and rounded once, half up; and the kernels for desktops, not those of TensorFlow Lite Micro,
multiply the sums of dense layers in double precision and round once, half away from zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ggdq_mcu.graph.kernel import Routine
from ggdq_mcu.sources.tflite import CLIPS

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
LARGEST = 2**31 - 1
#: C of ``scaled``: ggdq_scaled(x, multiplier, exponent), and of ``scaled_once``.
SCALED = Routine("routines/tflite_scaled.c.j2")
SCALED_ONCE = Routine("routines/tflite_scaled_once.c.j2")
SCALED_WIDE = Routine("routines/tflite_scaled_wide.c.j2")


def multipliers(factors: ArrayLike) -> tuple[Array, Array]:
    """Multipliers m (int64) and exponents e (int64) of real factors > 0."""
    fraction, exponent = np.frexp(np.asarray(factors, np.float64))
    m = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    whole = m == 1 << 31
    m, exponent = np.where(whole, m >> 1, m), exponent.astype(np.int64) + whole
    return np.where(exponent < -31, 0, m), np.where(exponent < -31, 0, exponent)


def scaled(x: Array, multiplier: ArrayLike, exponent: ArrayLike) -> Array:
    """Integers x (int64, |x| * 2^max(e, 0) < 2^31) times a factor."""
    m, e = np.asarray(multiplier, np.int64), np.asarray(exponent, np.int64)
    return rounded((x << np.maximum(e, 0)) * m + (1 << 30) >> 31, np.maximum(-e, 0))


def product(a: Array, b: ArrayLike) -> Array:
    """Product of numbers of 31 bits behind the point, half up."""
    result: Array = np.minimum(a * np.asarray(b, np.int64) + (1 << 30) >> 31, LARGEST)
    return result


def rounded(x: Array, shift: ArrayLike) -> Array:
    """x / 2^shift, half away from zero."""
    n = np.asarray(shift, np.int64)
    half = (np.int64(1) << n) >> 1
    result: Array = (x + half - ((x < 0) & (n > 0))) >> n
    return result


def activation_range(activation: str, output: Format) -> tuple[int, int]:
    """The integers of the output's format to which an activation limits it; in float32, half away from zero."""
    low, high = (np.float32(bound) for bound in CLIPS[activation])
    bounds = []
    for bound, limit in ((low, output.low), (high, output.high)):
        if np.isinf(bound):
            bounds.append(limit)
        else:
            q = int(away(bound / np.float32(output.step))) + output.zero_point
            bounds.append(min(max(q, output.low), output.high))
    return bounds[0], bounds[1]


def away(x: ArrayLike) -> Array:
    """Nearest whole numbers, half away from zero."""
    magnitude = np.abs(np.asarray(x))
    whole = np.floor(magnitude)
    return np.asarray(np.sign(x) * (whole + (magnitude - whole >= 0.5)))


def scaled_once(x: Array, multiplier: ArrayLike, shift: ArrayLike) -> Array:
    """Integers x times multiplier / 2^shift, half away from zero; the product fits 62 bits."""
    m, n = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    result: Array = np.sign(x) * ((np.abs(x) * m + (np.int64(1) << n >> 1)) >> n)
    return result


def multipliers_wide(factors: ArrayLike) -> tuple[Array, Array]:
    """Multipliers of 15 bits and shifts for sums of 64 bits."""
    m, e = multipliers(factors)
    return np.where(m < 0x7FFF0000, m + (1 << 15) >> 16, 0x7FFF), 15 - e


def scaled_wide(x: Array, multiplier: ArrayLike, shift: ArrayLike) -> Array:
    """Integers x, |x| < 2^47, times multiplier / 2^shift, half up."""
    m, n = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    return np.asarray((x * m + (np.int64(1) << n - 1)) >> n)


def multipliers_once(factors: Array, bounds: Array) -> tuple[Array, Array] | None:
    """Multipliers and shifts with which ``scaled_once`` gives, for all |x| <= bounds, what double precision gives.

    That is round(x * factor), half away from zero, as far as 8 bits can hold it. It is looked at next to every step of the
    result, and nothing else matters, because both ascend: each such x limits the multiplier from both sides, and the one
    nearest to the factor within all limits is taken. None where the limits of some factor (C,) leave no multiplier, as
    they may where double precision rounds x * factor up to a half for one x and not for another.
    """
    shifts = 61 - np.frexp(factors * np.maximum(bounds, 1))[1].astype(np.int64)
    shifts = np.minimum(shifts, 62)
    nearest = np.floor(np.ldexp(factors, shifts) + 0.5).astype(np.int64)
    steps = np.ceil((np.arange(1, 258) - 0.5) / factors[:, None]).astype(np.int64)
    x = np.minimum(np.maximum(steps[..., None] + np.arange(-2, 3), 1), np.maximum(bounds, 1)[:, None, None])
    wanted = away(x * factors[:, None, None]).astype(np.int64)
    n = shifts[:, None, None]
    half = np.int64(1) << n >> 1
    least = np.max(-((half - (wanted << n)) // x), axis=(1, 2))
    most = np.min(((wanted + 1 << n) - half - 1) // x, axis=(1, 2))
    return (np.clip(nearest, least, most), shifts) if np.all(least <= most) else None
