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

from ggdq_mcu.quantization.moments import Positions, blocks_of, covariance, outputs

Array = NDArray[Any]
_PASSES = 4


def round_in_blocks(target: Array, grams: Sequence[Array], positions: Positions, low: int, high: int) -> Array:
    """Integers (G, K, F) within low..high for targets (G, K, F), with the Gram matrix of each block of products."""
    blocks = blocks_of(target.shape[1])
    if len(blocks) == 1:
        return round_adaptively(target, grams[0], low, high)
    rounded = target.copy()
    for block, gram in zip(blocks, grams, strict=True):
        error = outputs(positions, target - rounded)  # of the blocks that are done: the others are their targets still
        carried = np.linalg.solve(gram, covariance(positions.x[:, :, block], error))
        rounded[:, block] = round_adaptively(target[:, block] + carried, gram, low, high)
    return rounded


def round_adaptively(target: Array, gram: Array, low: int, high: int) -> Array:
    """Integers (G, K, F) within low..high for targets (G, K, F) under Gram matrices (G, K, K), positive definite."""
    order = np.argsort(-np.mean(np.diagonal(gram, axis1=1, axis2=2), axis=0), kind="stable")
    back = np.argsort(order)
    sorted_gram = gram[:, order][:, :, order]
    start = _feed_errors_on(target[:, order], sorted_gram, low, high)
    nearest = np.clip(np.floor(target[:, order] + 0.5), low, high)
    candidates = [_descend(start, target[:, order], sorted_gram, low, high)]
    candidates.append(_descend(nearest, target[:, order], sorted_gram, low, high))
    errors = np.stack([output_error(q - target[:, order], sorted_gram) for q in candidates])
    best: Array = np.where(errors[0][:, None] <= errors[1][:, None], candidates[0], candidates[1])
    return best[:, back]


def output_error(difference: Array, gram: Array) -> Array:
    """Mean squared error (G, F) at the output for weight differences (G, K, F)."""
    error: Array = np.einsum("gkf,gkf->gf", difference, gram @ difference)
    return error


def _feed_errors_on(target: Array, gram: Array, low: int, high: int) -> Array:
    upper = np.linalg.cholesky(np.linalg.inv(gram)).transpose(0, 2, 1)
    remaining, rounded = target.astype(np.float64).copy(), np.empty_like(target, dtype=np.float64)
    for k in range(target.shape[1]):
        rounded[:, k] = np.clip(np.floor(remaining[:, k] + 0.5), low, high)
        error = (remaining[:, k] - rounded[:, k]) / upper[:, k, k, None]
        remaining[:, k + 1 :] -= upper[:, k, k + 1 :, None] * error[:, None, :]
    return rounded


def _descend(start: Array, target: Array, gram: Array, low: int, high: int) -> Array:
    rounded = start.copy()
    gradient = gram @ (rounded - target)
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
