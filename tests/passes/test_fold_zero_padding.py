"""Where zeros around an image go, case by case."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import Weights, assert_same_function, linear_weights

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes import fold_zero_padding, optimize

GENERATOR = np.random.default_rng(5)
ZEROS = ZeroPadding2D(Padding(0, 1, 2, 3))
CONV = Conv2D(Size(3, 3), 3, Size(2, 2), Padding(1, 1, 0, 1))
KERNEL = linear_weights(GENERATOR, (3, 3, 2, 3), 3, bias=True)


def network(*readers: tuple[str, Operator, Weights]) -> Graph:
    """A network whose padded image the nodes read."""
    nodes = [Node("x", Input((6, 5, 2))), Node("zeros", ZEROS, ("x",))]
    nodes += [Node(name, operator, ("zeros",), weights) for name, operator, weights in readers]
    return Graph("padded", tuple(nodes), tuple(name for name, _, _ in readers))


def folded(graph: Graph, *names: str) -> Graph:
    after = fold_zero_padding(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == list(names)
    return after


def test_convolution_pads_by_itself() -> None:
    graph = folded(network(("conv", CONV, KERNEL)), "x", "conv")
    assert graph.by_name["conv"].operator == Conv2D(Size(3, 3), 3, Size(2, 2), Padding(1, 2, 2, 4))


def test_depthwise_convolution_pads_by_itself() -> None:
    depthwise = DepthwiseConv2D(Size(3, 3))
    folded(
        network(("depthwise", depthwise, linear_weights(GENERATOR, (3, 3, 2, 1), 2, bias=True))),
        "x",
        "depthwise",
    )


def test_padding_of_padding_is_one_padding() -> None:
    graph = folded(network(("more", ZeroPadding2D(Padding(1, 1, 1, 1)), {})), "x", "more")
    assert graph.by_name["more"].operator == ZeroPadding2D(Padding(1, 2, 3, 4))


@pytest.mark.parametrize("pool", [AveragePool2D, MaxPool2D])
def test_pooling_reads_the_zeros(pool: type[AveragePool2D] | type[MaxPool2D]) -> None:
    folded(network(("pool", pool(Size(2, 2), Size(2, 2)), {})), "x", "zeros", "pool")


def test_zeros_stay_for_those_that_cannot_pad() -> None:
    graph = folded(
        network(("conv", CONV, KERNEL), ("pool", MaxPool2D(Size(2, 2), Size(2, 2)), {})),
        "x",
        "zeros",
        "conv",
        "pool",
    )
    assert graph.by_name["conv"].inputs == ("x",)


def test_normalization_of_a_padded_image_pads_by_itself() -> None:
    weights = {"mean": np.ones(2, np.float32), "variance": np.ones(2, np.float32)}
    graph = network(("bn", BatchNormalization(0.01), weights))
    after = optimize(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == ["x", "bn"]
