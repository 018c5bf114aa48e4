"""Which values need no levels? Those beyond which the function that reads them stays the same.

Hard swish is 0 for everything below -3. A layer in front of it that saturates there gives the same result, and all
levels of its output go to values that matter; the saturation costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf

import numpy as np

from ggdq_mcu.graph import Graph
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.passes.rewrite import rewritten, sole_reader

#: By function, given its parameter, where it stays the same below and above, to less than a millionth.
_LIMITS: Mapping[str, Callable[[float], tuple[float, float]]] = {
    "elu": lambda _: (-16.0, inf),
    "gelu": lambda _: (-5.5, inf),
    "gelu_tanh": lambda _: (-5.5, inf),
    "hard_sigmoid": lambda slope: (-0.5 / (slope or 1 / 6), 0.5 / (slope or 1 / 6)),
    "hard_silu": lambda _: (-3.0, inf),
    "selu": lambda _: (-16.0, inf),
    "sigmoid": lambda _: (-16.0, 16.0),
    "tanh": lambda _: (-8.0, 8.0),
}


def saturate_before_functions(graph: Graph) -> Graph:
    """Linear layers that only such a function reads saturate where it does."""
    for node in graph.nodes:
        if not isinstance(node.operator, Activation) or node.operator.function not in _LIMITS:
            continue
        before = graph.by_name[node.inputs[0]]
        if not isinstance(before.operator, Linear) or sole_reader(graph, before.name) is None:
            continue
        low, high = np.clip(
            [before.operator.low, before.operator.high], *_LIMITS[node.operator.function](node.operator.parameter)
        )
        saturating = replace(before, operator=replace(before.operator, low=float(low), high=float(high)))
        graph = rewritten(graph, {before.name: (saturating,)})
    return graph
