"""Which integers should the weights become, if not the nearest? Those with the least error at the layer's output.

The error of a linear layer at its output is quadratic in the error of its weights, with the Gram matrix H of its
inputs: (q - t)' H (q - t) for target weights t and integers q. Rounding feeds the error of each weight on to those that
follow (Frantar et al., GPTQ, arXiv:2210.17323), then coordinate descent improves single weights until none changes (the
layer-wise problem of Nagel et al., AdaRound, arXiv:2004.10568, solved over all integers instead of two neighbours).

A layer of very many products is done a block of products at a time, each making up for the errors of those before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.products import Left
from ggdq_mcu.numerics.solvers import cholesky, solve
from ggdq_mcu.numerics.sums import mean, total
from ggdq_mcu.quantization.moments import Positions, blocks_of, covariance, outputs

Array = NDArray[Any]
_PASSES = 4
_BITS = 30  # of the accuracy of errors, by which results are compared
_BLOCK = 64  # weights whose errors are fed on one by one; to the others, a block at a time


def round_in_blocks(target: Array, grams: Sequence[Array], positions: Positions, low: int, high: int) -> Array:
    """Integers (G, K, F) within low..high for targets (G, K, F), with the Gram matrix of each block of products."""
    blocks = blocks_of(target.shape[1])
    if len(blocks) == 1:
        return round_adaptively(target, grams[0], low, high)
    rounded = target.copy()
    for block, gram in zip(blocks, grams, strict=True):
        error = outputs(positions, target - rounded)  # of the blocks that are done: the others are their targets still
        carried = solve(gram, covariance(positions.x[:, :, block], error))
        rounded[:, block] = round_adaptively(target[:, block] + carried, gram, low, high)
    return rounded


def round_adaptively(target: Array, gram: Array, low: int, high: int) -> Array:
    """Integers (G, K, F) within low..high for targets (G, K, F) under Gram matrices (G, K, K), positive definite."""
    order = np.argsort(-mean(np.diagonal(gram, axis1=1, axis2=2), 0), kind="stable")
    back = np.argsort(order)
    sorted_gram = gram[:, order][:, :, order]
    left = Left(sorted_gram)
    start = _feed_errors_on(target[:, order], sorted_gram, low, high)
    nearest = np.clip(np.floor(target[:, order] + 0.5), low, high)
    candidates = [_descend(start, target[:, order], sorted_gram, left, low, high)]
    candidates.append(_descend(nearest, target[:, order], sorted_gram, left, low, high))
    errors = np.stack([output_error(q - target[:, order], left) for q in candidates])
    best: Array = np.where(errors[0][:, None] <= errors[1][:, None], candidates[0], candidates[1])
    return best[:, back]


def output_error(difference: Array, gram: Left) -> Array:
    """Mean squared error (G, F) at the output for weight differences (G, K, F)."""
    return total(difference * gram.times(difference, _BITS), 1)


def _feed_errors_on(target: Array, gram: Array, low: int, high: int) -> Array:
    """Each weight rounded in order, from what the errors of those before it leave it, where all that follow make up for it.

    With H = V V', V upper triangular, the error is |V' d|^2 for weight errors d; row k of V' holds the weights up to k alone.
    GPTQ's formula by the inverse of H gives the same integers.
    """
    upper = cholesky(gram[:, ::-1, ::-1])[:, ::-1, ::-1]
    rounded = np.empty(target.shape)
    carried = np.zeros(target.shape)
    for start in range(0, target.shape[1], _BLOCK):
        stop = min(start + _BLOCK, target.shape[1])
        for k in range(start, stop):
            wanted = target[:, k] - carried[:, k] / upper[:, k, k, None]
            rounded[:, k] = np.clip(np.floor(wanted + 0.5), low, high)
            carried[:, k + 1 : stop] += upper[:, k, k + 1 : stop, None] * (rounded[:, k] - target[:, k])[:, None, :]
        if stop < target.shape[1]:
            error = rounded[:, start:stop] - target[:, start:stop]
            carried[:, stop:] += Left(upper[:, start:stop, stop:].transpose(0, 2, 1)).times(error)
    return rounded


def _descend(start: Array, target: Array, gram: Array, left: Left, low: int, high: int) -> Array:
    rounded = start.copy()
    gradient = left.times(rounded - target)
    diagonal = np.diagonal(gram, axis1=1, axis2=2)
    for _ in range(_PASSES):
        changed = False
        for k in range(target.shape[1]):
            best = np.clip(np.floor(rounded[:, k] - gradient[:, k] / diagonal[:, k, None] + 0.5), low, high)
            change = best - rounded[:, k]
            if change.any():
                changed = True
                rounded[:, k] = best
                gradient += gram[:, :, k, None] * change[:, None, :]
        if not changed:
            break
    return rounded
