"""Random float networks of every operator that has a growth in its cases, with odd shapes, and samples for them."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.operators.input import Input
from operators.cases import tables

_GROWTHS = {name: cases.growth for name, cases in tables().items() if cases.growth is not None}
_LARGEST = 600  # elements of a feature map


@st.composite
def networks(draw: Callable) -> tuple[Graph, np.ndarray]:
    """A network of up to eight operators and samples for its one input."""
    generator = np.random.default_rng(draw(st.integers(0, 2**20)))
    shape = draw(st.sampled_from([(7, 5, 3), (6, 6, 1), (9, 1, 2), (1, 8, 4), (5,), (4, 4, 9), (12,), (6, 3)]))
    nodes = [Node("input", Input(shape))]
    for index in range(draw(st.integers(1, 8))):
        shapes = infer_shapes(tuple(nodes))
        source = nodes[-1].name if draw(st.integers(0, 3)) else draw(st.sampled_from(sorted(shapes)))
        rank = len(shapes[source])
        kinds = [name for name, one in _GROWTHS.items() for _ in range(one.often) if rank in one.ranks]
        kind = draw(st.sampled_from(kinds))
        growth, inputs = _GROWTHS[kind], (source,)
        if growth.joins:
            alike = [name for name in shapes if growth.joins(shapes[name], shapes[source])]
            inputs += tuple(draw(st.lists(st.sampled_from(alike), min_size=1, max_size=growth.further)))
        operator, weights = growth.make(draw, generator, shapes[source])
        if prod(operator.output_shape(*(shapes[name] for name in inputs))) <= _LARGEST:
            nodes.append(Node(f"{kind}_{index}", operator, inputs, weights))
    names = [node.name for node in nodes[1:]] or ["input"]
    extra = draw(st.lists(st.sampled_from(names), max_size=2))
    outputs = tuple(dict.fromkeys([names[-1], *extra]))
    samples = generator.normal(generator.normal(), generator.uniform(0.1, 4), (6, *shape)).astype(np.float32)
    if draw(st.booleans()):
        samples = np.abs(samples)
    return Graph("random", tuple(nodes), outputs), samples
