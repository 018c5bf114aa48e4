"""Which of several scalings in a row cost nothing? All but one: their product is one scale and offset by channel."""

from __future__ import annotations

from math import isinf

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.passes.rewrite import rewritten, sole_reader

Array = NDArray[np.float64]


def merge_scales(graph: Graph) -> Graph:
    """Each BatchNormalization or Affine that reads another, which nobody else reads, is one with it.

    The one that stays has the second's name and, where that is a normalisation, its statistics.
    """
    for name in [node.name for node in graph.nodes if isinstance(node.operator, BatchNormalization | Affine)]:
        second = graph.by_name[name]
        first = graph.by_name[second.inputs[0]]
        if not isinstance(first.operator, BatchNormalization | Affine) or sole_reader(graph, first.name) is None:
            continue
        if not (isinf(first.operator.low) and isinf(first.operator.high)):
            continue
        merged = _merged(first, second)
        if merged is not None:
            graph = rewritten(graph, {first.name: (), name: (merged,)})
    return graph


def _merged(first: Node, second: Node) -> Node | None:
    """One node for both; None where a normalisation loses its statistics."""
    assert isinstance(first.operator, BatchNormalization | Affine)
    assert isinstance(second.operator, BatchNormalization | Affine)
    scale, offset = first.operator.affine(first.weights)
    factor, shift = second.operator.affine(second.weights)
    scale, offset = scale * factor, offset * factor + shift
    clip = {"low": second.operator.low, "high": second.operator.high}
    if isinstance(second.operator, BatchNormalization):
        mean, deviation = second.operator.statistics(second.weights)
    elif isinstance(first.operator, BatchNormalization):
        mean, deviation = first.operator.statistics(first.weights)
        mean, deviation = mean * factor + shift, deviation * np.abs(factor)
    else:
        return Node(second.name, Affine(**clip), first.inputs, _float32(scale=scale, offset=offset))
    if not np.all(scale):
        return None
    epsilon = 1e-3
    variance = (deviation / scale) ** 2
    weights = _float32(
        gamma=scale * np.sqrt(variance + epsilon), beta=mean, mean=(mean - offset) / scale, variance=variance
    )
    return Node(second.name, BatchNormalization(epsilon, **clip), first.inputs, weights)


def _float32(**arrays: Array) -> dict[str, NDArray[np.float32]]:
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}
