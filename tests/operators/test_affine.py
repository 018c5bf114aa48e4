"""A factor and an offset for each channel, and where they go."""

from __future__ import annotations

import numpy as np
from draws import reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.passes import optimize


@given(data=st.data())
def test_float_is_the_affine_map_of_each_channel(data: st.DataObject) -> None:
    x, scale, offset = (reals(data.draw, shape) for shape in ((2, 3, 4), (4,), (4,)))
    weights = {"scale": scale, "offset": offset}
    np.testing.assert_allclose(Affine().compute([x], weights), x * scale + offset, atol=1e-12)
    np.testing.assert_allclose(Affine(low=0.0).compute([x], weights), np.maximum(x * scale + offset, 0), atol=1e-12)


def number(scale: float, offset: float) -> dict[str, np.ndarray]:
    """The same factor and offset for two channels."""
    return {"scale": np.full(2, scale, np.float32), "offset": np.full(2, offset, np.float32)}


def test_hard_sigmoid_written_as_operations_costs_nothing() -> None:
    generator = np.random.default_rng(0)
    kernel = generator.normal(0, 1, (1, 1, 3, 2)).astype(np.float32)
    graph = Graph(
        "net",
        (
            Node("image", Input((4, 4, 3))),
            Node("conv", Conv2D(Size(1, 1), 2), ("image",), {"kernel": kernel}),
            Node("add", Affine(), ("conv",), number(1, 3)),
            Node("relu6", Clip(low=0.0, high=6.0), ("add",)),
            Node("multiply", Affine(), ("relu6",), number(1 / 6, 0)),
        ),
        ("multiply",),
    )
    optimized = optimize(graph)
    assert [node.name for node in optimized.nodes] == ["image", "conv"]
    conv = optimized.nodes[1].operator
    assert (conv.low, conv.high) == (0.0, np.float32(1 / 6) * 6.0)
    x = {"image": generator.normal(0, 3, (2, 4, 4, 3))}
    np.testing.assert_allclose(optimized.run(x)["conv"], graph.run(x)["multiply"], atol=1e-6)
