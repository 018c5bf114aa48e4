"""The incomplete gamma function's two expansions, and roots of t - a ln t: what limits of gamma densities are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import exp, log, log1p

Array = NDArray[Any]
_TURNS = 5  # of iterations whose error falls with the fourth power
_NEWTON = 9
_TINY = 1e-300
_FEW = 24  # values


def upper_fraction(a: Array, x: Array) -> Array:
    """Γ(a, x) / (x^a e^-x) for x >= a + 1, by its continued fraction (DLMF 8.9.2), from the last term on."""
    return _each(_upper, a, x, _terms(a))


def lower_series(a: Array, x: Array) -> Array:
    """γ(a, x) / (x^a e^-x) for x < a + 1, by its power series (DLMF 8.7.1), from the last term on."""
    return _each(_lower, a, x, 2 * _terms(a))


def _each(expansion: Callable[[Any, Any, int], Any], a: Array, x: Array, count: int) -> Array:
    """The expansion of arrays, a few values one by one: the same operations, without an array for every term."""
    a, x = np.broadcast_arrays(a, x)
    if a.size > _FEW:
        return np.asarray(expansion(a, x, count))
    pairs = zip(a.ravel().tolist(), x.ravel().tolist(), strict=True)
    return np.array([expansion(*pair, count) for pair in pairs], np.float64).reshape(a.shape)


def _upper(a: Any, x: Any, count: int) -> Any:
    value, base = 0.0, x + 1 - a
    for n in range(count, 0, -1):
        value = n * (n - a) / (base + 2 * n - value)
    return 1 / (base - value)


def _lower(a: Any, x: Any, count: int) -> Any:
    value = 1.0
    for n in range(count, 0, -1):
        value = 1 + x / (a + n) * value
    return value / a


def _terms(a: Array) -> int:
    """How many terms leave less than the last digits, for the largest a."""
    return 64 + 8 * int(np.ceil(np.sqrt(max(float(a.max(initial=0)), 0.0))))


def larger_root(a: Array, right: Array) -> Array:
    """The larger t with t - a ln t = right; where none exists (a > 0), t = a, the nearest to one."""
    scale = np.maximum(np.abs(a), 1e-9)  # a = 0, t = right, is the limit from both sides
    level = right / scale
    return scale * np.where(a < 0, _plus_log(level - log(scale)), _minus_log(level + log(scale)))


def _plus_log(z: Array) -> Array:
    """w > 0 with w + ln w = z (Fritsch, Shafer and Crowley, CACM 16(2), 1973)."""
    small = exp(np.minimum(z, 1.0))
    w = np.maximum(np.where(z > 1, z - log(np.maximum(z, 1.0)), small / (1 + small)), _TINY)
    for _ in range(_TURNS):
        r, p = z - w - log(w), 1 + w
        q = p * (p + 2 / 3 * r)
        w = np.maximum(w * (1 + r / p * (q - r / 2) / (q - r)), _TINY)
    return np.asarray(w)


def _minus_log(y: Array) -> Array:
    """w >= 1 with w - ln w = y, for y >= 1 (taken as 1 below): Newton's method from above, w = 1 + d."""
    u = np.maximum(y - 1, 0.0)
    d = np.sqrt(2 * u) + u
    for _ in range(_NEWTON):
        d = np.where(d > 0, d - (d - log1p(d) - u) * (1 + d) / np.where(d > 0, d, 1), 0.0)
    return np.asarray(1 + d)
