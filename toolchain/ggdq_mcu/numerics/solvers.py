"""Linear systems of symmetric, positive definite matrices, a stack at a time, with every operation in a fixed order.

Within a block of columns, each column is taken off the others element by element; between blocks, products are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.products import Left, between
from ggdq_mcu.numerics.sums import total

Array = NDArray[Any]
_BLOCK = 48
_BITS = 36  # of the products between blocks
_MOST_TURNS = 100
_RESIDUAL = 1e-8  # squared, relative


def cholesky(matrices: Array) -> Array:
    """Lower triangular L (G, K, K) with L L' = A; what is not positive definite gets pivots of 1e-12 of its diagonal."""
    lower = np.array(matrices, np.float64)
    count = lower.shape[-1]
    least = 1e-12 * np.abs(np.diagonal(lower, axis1=1, axis2=2)) + 1e-300
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        width = stop - start
        panel = np.ascontiguousarray(lower[:, start:, start:stop].transpose(0, 2, 1))  # a row for each column
        for j in range(width):
            pivot = np.sqrt(np.maximum(panel[:, j, j], least[:, start + j]))
            panel[:, j, j + 1 :] /= pivot[:, None]
            panel[:, j, j] = pivot
            panel[:, j + 1 :, j + 1 :] -= panel[:, j, j + 1 : width, None] * panel[:, j, None, j + 1 :]
        lower[:, start:, start:stop] = panel.transpose(0, 2, 1)
        if stop < count:
            beside = panel[:, :, width:]
            lower[:, stop:, stop:] -= between(beside.transpose(0, 2, 1), beside, _BITS)
    return np.tril(lower)


def solve(matrices: Array, right: Array) -> Array:
    """x (G, K, F) of A x = right (G, K, F)."""
    lower = cholesky(matrices)
    return _substituted(_substituted(lower, right), None, lower)


def _substituted(first: Array, right: Array | None, transposed: Array | None = None) -> Array:
    """L x = right; or L' x = ``first``, where L is ``transposed``: the same from the last row to the first."""
    if transposed is not None:
        turned = transposed.transpose(0, 2, 1)[:, ::-1, ::-1]
        return _substituted(turned, first[:, ::-1])[:, ::-1]
    assert right is not None
    lower, x = first, np.array(right, np.float64)
    count = x.shape[1]
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        for j in range(start, stop):
            x[:, j] /= lower[:, j, j, None]
            x[:, j + 1 : stop] -= lower[:, j + 1 : stop, j, None] * x[:, j, None]
        if stop < count:
            x[:, stop:] -= between(lower[:, stop:, start:stop], x[:, start:stop], _BITS)
    return x


def solve_shifted(matrices: Array, right: Array, shifts: Array) -> Array:
    """x (S, G, K, F) of (A + shift_s I) x = right, for ascending positive shifts (S, G): by conjugate gradients.

    All shifts share their directions (Jegerlehner, Krylov space solvers for shifted linear systems, hep-lat/9612014). Ends
    where the residuals of the first shift are below 1e-4 of the right sides, at the latest after 100 turns.
    """
    left = Left(matrices + shifts[0][:, None, None] * np.eye(matrices.shape[-1]))
    apart = (shifts - shifts[0])[:, :, None]  # (S, G, 1)
    residual = np.array(right, np.float64)
    direction = residual.copy()
    square = total(residual * residual, 1)  # (G, F)
    enough = _RESIDUAL * square
    active = len(shifts)
    x, directions = np.zeros((len(shifts), *right.shape)), np.broadcast_to(residual, (len(shifts), *right.shape)).copy()
    zeta = zeta_before = np.ones((len(shifts), *square.shape))
    alpha_before, beta = np.ones_like(square), np.zeros_like(square)
    for _ in range(min(_MOST_TURNS, 2 * right.shape[1])):
        if (square <= enough).all():
            break
        image = left.times(direction, 0)
        curvature = total(direction * image, 1)
        alpha = np.where(curvature > 0, square / np.where(curvature > 0, curvature, 1), 0.0)
        below = alpha * beta * (zeta_before - zeta) + zeta_before * alpha_before * (1 + alpha * apart)
        usable = (below != 0) & (zeta != 0)
        after = np.where(usable, zeta * zeta_before * alpha_before / np.where(usable, below, 1), 0.0)
        ratio = np.where(zeta != 0, after / np.where(zeta != 0, zeta, 1), 0.0)
        x[:active] += (alpha * ratio)[:, :, None] * directions
        residual -= alpha[:, None] * image
        new = total(residual * residual, 1)
        beta = np.where(square > 0, new / np.where(square > 0, square, 1), 0.0)
        direction = residual + beta[:, None] * direction
        # The larger its shift, the sooner a solution is found.
        active = max(1, int((after * after * new > enough).any(axis=(1, 2)).sum()))
        after, ratio, zeta, apart = after[:active], ratio[:active], zeta[:active], apart[:active]
        directions = after[:, :, None] * residual + (ratio * ratio * beta)[:, :, None] * directions[:active]
        square, zeta_before, zeta, alpha_before = new, zeta, after, np.where(alpha > 0, alpha, 1.0)
    return x
