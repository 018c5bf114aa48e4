"""Circular and hyperbolic functions of float64, like ``functions``: from operations that IEEE 754 fixes to the last bit.

Errors are about 1e-15 for arguments below a million; tests/numerics has each function's bound.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import expm1, log1p, of_float64, parts, pi

Array = NDArray[Any]
_MOST = float(1 << 20)  # beyond, whole turns are taken off first
_FIRST, _rest = parts(pi() / 2)[0], pi() / 2 - Decimal(parts(pi() / 2)[0])
_SECOND = parts(_rest)[0]
_THIRD = float(_rest - Decimal(_SECOND))
#: Coefficients of x^0, x^2, ... of sin(x) / x and cos(x), by Taylor.
_SINE = tuple(accumulate(range(1, 9), lambda c, n: -c / (2 * n * (2 * n + 1)), initial=1.0))
_COSINE = tuple(accumulate(range(1, 10), lambda c, n: -c / (2 * n * (2 * n - 1)), initial=1.0))
_ARCTANGENT = tuple((-1) ** n / (2 * n + 1) for n in range(14))


def _polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    value = np.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = value * x + coefficient
    return value


def _quarter_turns(x: Array, ahead: int) -> Array:
    """The sine of x, ``ahead`` quarter turns further on."""
    x = np.where(np.abs(x) < _MOST, x, np.fmod(x, float(2 * pi())))
    k = np.rint(x * float(2 / pi()))
    r = ((x - k * _FIRST) - k * _SECOND) - k * _THIRD
    quadrant = np.where(np.isfinite(k), k + ahead, 0).astype(np.int64) & 3
    sine, cosine = r * _polynomial(r * r, _SINE), _polynomial(r * r, _COSINE)
    value = np.where(quadrant & 1, cosine, sine)
    return np.where(quadrant & 2, -value, value)


@of_float64
def sin(x: Array) -> Array:
    """Sine."""
    return np.where(x == 0, x, _quarter_turns(x, 0))


@of_float64
def cos(x: Array) -> Array:
    """Cosine."""
    return _quarter_turns(x, 1)


@of_float64
def tan(x: Array) -> Array:
    """Tangent."""
    return np.asarray(sin(x) / cos(x))


@of_float64
def arctan(x: Array) -> Array:
    """Arcus tangent."""
    size = np.abs(x)
    inverted = size > 1
    y = np.where(inverted, 1 / np.where(inverted, size, 1), size)
    for _ in range(2):  # half the angle
        y = y / (1 + np.sqrt(1 + y * y))
    angle = 4 * y * _polynomial(y * y, _ARCTANGENT)
    return np.asarray(np.copysign(np.where(inverted, float(pi() / 2) - angle, angle), x))


@of_float64
def arcsinh(x: Array) -> Array:
    """Area hyperbolic sine, for values whose square is finite."""
    size = np.abs(x)
    return np.asarray(np.copysign(log1p(size + size * size / (1 + np.sqrt(1 + size * size))), x))


@of_float64
def sinh(x: Array) -> Array:
    """Hyperbolic sine."""
    e = expm1(np.abs(x))
    return np.asarray(np.copysign(np.where(np.isinf(e), e, (e + e / (e + 1)) / 2), x))


@of_float64
def cosh(x: Array) -> Array:
    """Hyperbolic cosine."""
    e = expm1(np.abs(x))
    return np.where(np.isinf(e), e, 1 + (e / (e + 1)) * e / 2)
