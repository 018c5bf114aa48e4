"""Products of matrices by BLAS that do not depend on it: every partial sum is exact, so that no order or FMA matters.

Both factors are split into parts on grids of powers of two, coarse enough for float64 to hold any sum of their products:

    x = X0 + X1 + ...      |X_i| <= 2^22 steps of the grid 2^(e_i - 22), e_i of the largest |x - X0 - ...| of a sample
    w = W0 + W1 + ...      sum over k of |W_j| <= 2^30 steps of a grid for each column
    x w = X0 W0 + (X1 W0 + X0 W1) + ...

Every term is exact (52 bits), and they are added in this order. For most samples X0 W0 is all; where the bound on what is left
out exceeds 2^-bits of the largest result of a sample and column, the next terms are added for that sample, with X2 and W2
as the last: what is below 2^-66 of a sample's largest value is lost. (Splitting as in Ozaki, Ogita, Oishi and Rump, Error-free
transformations of matrix multiplication, Numerical Algorithms 59, 2012.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.sums import total

Array = NDArray[Any]
Columns = Callable[[Array], Sequence[Array]]
_VALUE_BITS, _COLUMN_BITS = 22, 30
_MOST_TERMS = 3
_LOWEST_EXPONENT = -900  # of a grid: what is smaller counts as 0
_HIGHEST_EXPONENT = 900  # of the largest value: beyond, sums may overflow in one order and not in another
BITS = 14  # of accuracy that is proved for float32, relative to the largest result; it is about 20 for most
_WIDE_BITS = 50  # for float64


def product(x: Array, w: Array, bits: int | None = None) -> Array:
    """x (N, ..., K) times w (K, F), in their floating type; no sample's result depends on the others'."""
    return products(x, lambda part: [part], np.asarray(w)[None], bits)[0]


def products(x: Array, columns: Columns, matrices: Array, bits: int | None = None) -> list[Array]:
    """columns(x)[g] (N, ..., K) times matrices[g] (K, F), for each group g, in the floating type of x and matrices.

    ``columns`` picks for each output position the values of x (N, ...) that it reads; it is called with parts of x, which are
    float64. Values that are not finite, or beyond 2^900, are multiplied as they are.
    """
    kind = np.result_type(x, matrices)
    bits = _accuracy(kind) if bits is None else bits
    if not len(x):
        return [part @ matrix for part, matrix in zip(columns(x), matrices, strict=True)]
    left, right = _Samples(np.asarray(x, np.float64)), _Matrices(np.asarray(matrices, np.float64))
    if not (left.usable and right.usable):
        return [np.asarray(part @ one, kind) for part, one in zip(columns(x), matrices, strict=True)]
    results = _term(columns(left.part(0)), right.part(0))
    found = np.arange(len(x))
    for level in range(1, _MOST_TERMS):
        found = found[_inaccurate([result[found] for result in results], left.take(found), right, level, bits)]
        if not len(found):
            break
        some = left.take(found)
        terms = [_term(columns(some.part(level - j)), right.part(j)) for j in range(level + 1)]
        for g, result in enumerate(results):
            for term in terms:
                result[found] += term[g]
    return [result.astype(kind, copy=False) for result in results]


def _accuracy(kind: np.dtype[Any]) -> int:
    return BITS if kind == np.float32 else _WIDE_BITS


def _term(columns: Sequence[Array], matrices: Array) -> list[Array]:
    """Exact: see the module's docstring."""
    return [part @ matrix for part, matrix in zip(columns, matrices, strict=True)]


def _inaccurate(results: list[Array], left: _Samples, right: _Matrices, level: int, bits: int) -> Array:
    """Positions of the samples for which the terms below ``level`` may not be enough."""
    largest = np.stack([_largest(result.reshape(len(result), -1, result.shape[-1]), 1) for result in results], axis=1)
    bound = left.rest(level)[:, None, None] * right.size(0)
    for i in range(level):
        bound = bound + left.size(i)[:, None, None] * right.rest(level - i)
    return np.flatnonzero((bound > np.ldexp(largest, -bits)).any(axis=(1, 2)))


def _largest(values: Array, axis: int | None) -> Array:
    return np.asarray(np.maximum(values.max(axis=axis, initial=0), -values.min(axis=axis, initial=0)))


def rounded(values: Array, exponent: Array | int) -> Array:
    """The nearest multiples of 2^exponent, exact for |values| up to 2^(exponent + 50)."""
    magic = np.ldexp(1.5, exponent + 52)
    return (values + magic) - magic


class _Samples:
    """Parts of x (N, ...), and for each sample the largest magnitude of a part and of what is left before it."""

    def __init__(self, values: Array) -> None:
        self._rests = [values]
        self._parts: list[Array] = []
        self._sizes = [self._magnitude(values)]
        self.usable = bool((self._sizes[0] < 2.0**_HIGHEST_EXPONENT).all())

    def part(self, i: int) -> Array:
        """X_i."""
        while len(self._parts) <= i:
            rest, size = self._rests[-1], self._sizes[-1]
            exponent = np.maximum(np.frexp(size)[1], _LOWEST_EXPONENT + _VALUE_BITS) - _VALUE_BITS
            part = rounded(rest, exponent.reshape(-1, *(1,) * (rest.ndim - 1)))
            self._parts.append(part)
            self._rests.append(rest - part)
            self._sizes.append(self._magnitude(self._rests[-1]))
        return self._parts[i]

    def size(self, i: int) -> Array:
        """(N,) a bound on |X_i|."""
        return 2 * self.rest(i)

    def rest(self, i: int) -> Array:
        """(N,) the largest |x - X_0 - ... - X_(i-1)|."""
        if i:
            self.part(i - 1)
        return self._sizes[i]

    def take(self, samples: Array) -> _Samples:
        """Those samples only."""
        return self if len(samples) == len(self._sizes[0]) else _Samples(self._rests[0][samples])

    @staticmethod
    def _magnitude(values: Array) -> Array:
        return _largest(values.reshape(len(values), -1), 1)


class _Matrices:
    """Parts of w (G, K, F), and for each column the sum of magnitudes of a part and of what is left before it."""

    def __init__(self, values: Array) -> None:
        self._rests = [values]
        self._parts: list[Array] = []
        self._sizes = [total(np.abs(values), 1)]
        self.usable = bool((self._sizes[0] < 2.0**_HIGHEST_EXPONENT).all())

    def part(self, j: int) -> Array:
        """W_j."""
        while len(self._parts) <= j:
            rest = self._rests[-1]
            exponent = np.maximum(np.frexp(self._sizes[-1])[1], _LOWEST_EXPONENT + _COLUMN_BITS) - _COLUMN_BITS
            part = rounded(rest, exponent[:, None])
            self._parts.append(part)
            self._rests.append(rest - part)
            self._sizes.append(total(np.abs(self._rests[-1]), 1))
        return self._parts[j]

    def size(self, j: int) -> Array:
        """(G, F) a bound on the sum of |W_j|."""
        return 2 * self.rest(j)

    def rest(self, j: int) -> Array:
        """(G, F) the sum of |w - W_0 - ... - W_(j-1)|."""
        if j:
            self.part(j - 1)
        return self._sizes[j]


class Left:
    """A stack of matrices (G, M, K), multiplied by others (G, K, F) one after the other; float64."""

    def __init__(self, matrices: Array) -> None:
        self._matrices = np.asarray(matrices, np.float64)
        self._parts = _Samples(self._matrices)

    def times(self, second: Array, bits: int = BITS) -> Array:
        """The products (G, M, F)."""
        left, right = self._parts, _Matrices(np.asarray(second, np.float64))
        if not (left.usable and right.usable and len(second)):
            return np.asarray(self._matrices @ second)
        result = left.part(0) @ right.part(0)
        for level in range(1, _MOST_TERMS):
            bound = left.rest(level)[:, None] * right.size(0)
            for i in range(level):
                bound = bound + left.size(i)[:, None] * right.rest(level - i)
            found = np.flatnonzero((bound > np.ldexp(_largest(result, 1), -bits)).any(axis=1))
            for j in range(level + 1 if len(found) else 0):
                result[found] += left.part(level - j)[found] @ right.part(j)[found]
        return result


def between(first: Array, second: Array, bits: int | None = None) -> Array:
    """first (N, ..., M, K) times second (N, ..., K, F), leading axes broadcast, in their floating type."""
    leading = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    x, w = (np.broadcast_to(part, leading + part.shape[-2:]).reshape(-1, *part.shape[-2:]) for part in (first, second))
    kind = np.result_type(first, second)
    result = Left(x).times(w, _accuracy(kind) if bits is None else bits)
    return result.reshape(*leading, first.shape[-2], second.shape[-1]).astype(kind, copy=False)


def with_whole(x: Array, w: Array) -> Array:
    """x (..., M, K) of whole numbers below 2^20 times w (..., K, F) of real ones, which are rounded to a grid; float64.

    The grid is that of 51 bits for the sum of a column's magnitudes, less the bits of x, so that all sums are exact.
    """
    w = np.asarray(w, np.float64)
    bits = int(np.frexp(_largest(x, None))[1])
    exponent = np.frexp(total(np.abs(w), -2, keepdims=True))[1] - (51 - bits)
    part = rounded(w, np.maximum(exponent, _LOWEST_EXPONENT))
    return np.asarray(x.astype(np.float64, copy=False) @ part)
