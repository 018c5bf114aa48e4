"""Elementary functions of float64 from operations that IEEE 754 fixes to the last bit, with tables made in decimal arithmetic.

Errors are below 2 units in the last place of exp, expm1, log and log1p; tests/numerics has each function's bound. float32
arguments give float32 results, rounded once. Invalid arguments give NaN, as NumPy's functions do, without warnings.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from functools import cache, partial, wraps
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
_CONTEXT = Context(prec=60)
_CHUNK = 1 << 14  # values at a time: the temporaries stay in the cache
_FEW = 24  # values that are computed one by one in less time than as an array
_STEPS = 128  # of the tables, for a factor of 2
_LOG10_E = float(1 / Decimal(10).ln(_CONTEXT))
LN2 = float(Decimal(2).ln(_CONTEXT))
_ROOT_HALF = float(Decimal("0.5").sqrt(_CONTEXT))
_HIGHEST, _LOWEST = 710.0, -746.0  # beyond, exp is infinite or 0
_HALF_LOG_2PI = float("0.918938533204672741780329736405617639861")
_ERF_STEPS, _ERF_END, _ERF_TERMS = 8, 6, 14


def of_float64(
    of: Callable[[Array], Array], one: Callable[[float], float] | None = None
) -> Callable[[ArrayLike], Array]:
    """A function of float64 arrays as one of all real arrays.

    ``one`` is the same function of a single float, of the same bits: for a few values it takes a tenth of the time.
    """

    @wraps(of)
    def wrapped(x: ArrayLike) -> Array:
        given = np.asarray(x)
        kind = given.dtype if given.dtype.kind == "f" else np.dtype(np.float64)
        if one is not None and given.size <= _FEW:
            return np.array([one(float(value)) for value in given.flat], kind).reshape(given.shape)
        with np.errstate(all="ignore"):
            if given.size <= _CHUNK:
                return np.asarray(of(given.astype(np.float64)), kind)
            result = np.empty(given.shape, kind)
            flat, values = np.ravel(given), result.reshape(-1)
            for start in range(0, flat.size, _CHUNK):
                part = slice(start, start + _CHUNK)
                values[part] = of(flat[part].astype(np.float64))
        return result

    return wrapped


def parts(number: Decimal) -> tuple[float, float]:
    """A number as a float of 32 bits and what is left of it."""
    mantissa, exponent = np.frexp(float(number))
    high = float(np.ldexp(np.floor(np.ldexp(mantissa, 32)), int(exponent) - 32))
    return high, float(number - Decimal(high))


_LN2_PARTS, _STEP_PARTS = (
    parts(Decimal(2).ln(_CONTEXT)),
    parts(_CONTEXT.divide(Decimal(2).ln(_CONTEXT), Decimal(_STEPS))),
)


@cache
def _powers() -> Array:
    """2^(i / 128)."""
    return np.array([float(_CONTEXT.power(2, Decimal(i) / _STEPS)) for i in range(_STEPS)])


@cache
def _logarithms() -> Array:
    """ln(i / 128), i = 0..256, 0 for 0."""
    return np.array([0.0, *(float((Decimal(i) / _STEPS).ln(_CONTEXT)) for i in range(1, 2 * _STEPS + 1))])


def _reduced(x: Array) -> tuple[Array, Array, Array]:
    """exp(x) = 2^k t (1 + p): k, t and p."""
    x = np.minimum(np.maximum(x, _LOWEST), _HIGHEST)
    n = np.rint(x * (_STEPS / LN2))
    r = (x - n * _STEP_PARTS[0]) - n * _STEP_PARTS[1]
    p = r + r * r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120))))
    whole = n.astype(np.int32)
    return whole >> 7, _powers()[whole & (_STEPS - 1)], p


def _exp_of_one(x: float) -> float:
    """``exp`` step by step."""
    if math.isnan(x):
        return x
    x = min(max(x, _LOWEST), _HIGHEST)
    n = round(x * (_STEPS / LN2))
    r = (x - n * _STEP_PARTS[0]) - n * _STEP_PARTS[1]
    p = r + r * r * (0.5 + r * (1 / 6 + r * (1 / 24 + r * (1 / 120))))
    t = float(_powers()[n & (_STEPS - 1)])
    try:
        return math.ldexp(t + t * p, n >> 7)
    except OverflowError:
        return math.inf


@partial(of_float64, one=_exp_of_one)
def exp(x: Array) -> Array:
    """e^x."""
    k, t, p = _reduced(x)
    return np.asarray(np.ldexp(t + t * p, k))


@of_float64
def expm1(x: Array) -> Array:
    """e^x - 1, exact to the last digits for small x too."""
    k, t, p = _reduced(x)
    scale = np.ldexp(t, k)
    return np.where(x == 0, x, (scale - 1) + scale * p)


def _log_of_one(x: float) -> float:
    """``log`` step by step."""
    if not 0 < x < math.inf:
        return -math.inf if x == 0 else math.inf if x > 0 else math.nan
    mantissa, exponent = math.frexp(x)
    if mantissa < _ROOT_HALF:
        mantissa, exponent = 2 * mantissa, exponent - 1
    index = round(mantissa * _STEPS)
    centre = index * (1 / _STEPS)
    f = (mantissa - centre) / centre
    tail = f * f * (-1 / 2 + f * (1 / 3 + f * (-1 / 4 + f * (1 / 5 + f * (-1 / 6 + f * (1 / 7))))))
    known = float(_logarithms()[index])
    return (exponent * _LN2_PARTS[0] + (known + f)) + (exponent * _LN2_PARTS[1] + tail)


@partial(of_float64, one=_log_of_one)
def log(x: Array) -> Array:
    """Natural logarithm."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < _ROOT_HALF
    mantissa, exponent = np.where(small, 2 * mantissa, mantissa), exponent - small
    index = np.rint(mantissa * _STEPS).astype(np.int32) & (2 * _STEPS - 1)
    centre = index * (1 / _STEPS)
    f = (mantissa - centre) / centre
    tail = f * f * (-1 / 2 + f * (1 / 3 + f * (-1 / 4 + f * (1 / 5 + f * (-1 / 6 + f * (1 / 7))))))
    value = (exponent * _LN2_PARTS[0] + (_logarithms()[index] + f)) + (exponent * _LN2_PARTS[1] + tail)
    if x.min(initial=1) > 0 and x.max(initial=1) < np.inf:
        return np.asarray(value)
    value = np.where(x > 0, value, np.where(x == 0, -np.inf, np.nan))
    return np.where(np.isinf(x) & (x > 0), np.inf, value)


@of_float64
def log1p(x: Array) -> Array:
    """ln(1 + x)."""
    near = 1 + x
    rest = near - 1
    value = np.where(rest == 0, x, log(near) * (x / np.where(rest == 0, 1, rest)))
    return np.where(np.isinf(x) & (x > 0), np.inf, value)


@of_float64
def log2(x: Array) -> Array:
    """Binary logarithm; exact for powers of two."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < _ROOT_HALF
    return np.asarray((exponent - small) + log(np.where(small, 2 * mantissa, mantissa)) * (1 / LN2))


@of_float64
def log10(x: Array) -> Array:
    """Decimal logarithm."""
    return np.asarray(log(x) * _LOG10_E)


@of_float64
def exp2(x: Array) -> Array:
    """2^x; exact for whole numbers."""
    whole = np.rint(np.clip(x, -1100, 1100))
    return np.asarray(np.ldexp(exp((x - whole) * LN2), whole.astype(np.int32)))


def power(base: ArrayLike, exponent: ArrayLike) -> Array:
    """base^exponent for positive bases, float64, to about 1e-13; 0^y is 0 for y > 0 and 1 for y = 0."""
    x, y = np.asarray(base, np.float64), np.asarray(exponent, np.float64)
    with np.errstate(all="ignore"):
        return np.where(y == 0, 1.0, exp(y * log(x)))


@of_float64
def tanh(x: Array) -> Array:
    """Hyperbolic tangent."""
    e = expm1(2 * np.minimum(np.abs(x), 22.0))
    return np.asarray(np.copysign(e / (e + 2), x))


@of_float64
def sigmoid(x: Array) -> Array:
    """1 / (1 + e^-x)."""
    e = exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1.0) / (1 + e))


@of_float64
def softplus(x: Array) -> Array:
    """ln(1 + e^x)."""
    return np.maximum(x, 0) + log1p(exp(-np.abs(x)))


@of_float64
def erf(x: Array) -> Array:
    """Error function."""
    table = _erf_table()
    magnitude = np.abs(x)
    index = np.rint(np.nan_to_num(np.minimum(magnitude, _ERF_END)) * _ERF_STEPS).astype(np.int32)
    h = np.minimum(magnitude, _ERF_END) - index * (1 / _ERF_STEPS)
    value = table[-1][index]
    for coefficients in table[-2::-1]:
        value = coefficients[index] + h * value
    return np.asarray(np.copysign(value, x))


@of_float64
def erfc(x: Array) -> Array:
    """1 - erf(x), with the absolute error of erf."""
    return np.asarray(1 - erf(x))


@cache
def _erf_table() -> Array:
    """Coefficients of h^n in erf(c + h), (terms, centres), of centres c = i / 8."""
    rows = []
    for i in range(_ERF_STEPS * _ERF_END + 1):
        c = Decimal(i) / _ERF_STEPS
        front = 2 / pi().sqrt(_CONTEXT) * (-c * c).exp(_CONTEXT)
        a = [Decimal(1), -2 * c]  # exp(-2 c h - h^2) = sum of a_n h^n
        for n in range(1, _ERF_TERMS):
            a.append((-2 * c * a[n] - 2 * a[n - 1]) / (n + 1))
        rows.append([_erf(c), *(front * a[n] / (n + 1) for n in range(_ERF_TERMS))])
    return np.array(rows, np.float64).T


def _erf(c: Decimal) -> Decimal:
    """Its power series; the terms grow to e^(c^2), which 60 digits bear."""
    term, total, n = c, c, 0
    while abs(term) > Decimal("1e-40"):
        n += 1
        term = _CONTEXT.divide(_CONTEXT.multiply(-term, c * c), Decimal(n))
        total = _CONTEXT.add(total, _CONTEXT.divide(term, Decimal(2 * n + 1)))
    return _CONTEXT.divide(2 * total, pi().sqrt(_CONTEXT))


def pi() -> Decimal:
    """The ratio of a circle's circumference to its diameter, to 60 digits."""
    return Decimal("3.14159265358979323846264338327950288419716939937510582097494")


_SHIFT = 10  # arguments of log_gamma and digamma below this one are raised by as much
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


@of_float64
def log_gamma(x: Array) -> Array:
    """ln of the gamma function, x > 0, to an absolute error of about 1e-14 for results of ordinary size."""
    low = x < _SHIFT
    z = np.where(low, x + _SHIFT, x)
    product = np.where(low, x, 1.0)
    for i in range(1, _SHIFT):
        product = product * np.where(low, x + i, 1.0)
    inverse = 1 / z
    square, series = inverse * inverse, np.zeros_like(z)
    for term in reversed(_STIRLING):
        series = series * square + term
    return (z - 0.5) * log(z) - z + _HALF_LOG_2PI + series * inverse - log(product)


@of_float64
def digamma(x: Array) -> Array:
    """Derivative of ``log_gamma``, x > 0."""
    low = x < _SHIFT
    z = np.where(low, x + _SHIFT, x)
    below = np.zeros_like(z)
    for i in range(_SHIFT):
        below = below + np.where(low, 1 / (x + i), 0.0)
    inverse = 1 / z
    square, series = inverse * inverse, np.zeros_like(z)
    for n, term in reversed(list(enumerate(_STIRLING))):
        series = series * square + (2 * n + 1) * term
    return log(z) - 0.5 * inverse - series * square - below


def x_log_x(x: ArrayLike) -> Array:
    """x ln x, 0 for 0, float64."""
    value = np.asarray(x, np.float64)
    return np.asarray(value * log(np.where(value > 0, value, 1.0)))


def floor_log2(x: ArrayLike) -> Array:
    """The largest whole n with 2^n <= x, x > 0, exact, int64."""
    return np.frexp(np.asarray(x, np.float64))[1].astype(np.int64) - 1


def ceil_log2(x: ArrayLike) -> Array:
    """The smallest whole n with 2^n >= x, x > 0, exact, int64."""
    mantissa, exponent = np.frexp(np.asarray(x, np.float64))
    return np.asarray(exponent.astype(np.int64) - (mantissa == 0.5))
