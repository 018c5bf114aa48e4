"""Where a ReLU goes, case by case."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from random_graphs import assert_same_function, linear_weights

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes import fuse_clips, optimize

KERNEL = linear_weights(np.random.default_rng(5), (3, 3, 2, 3), 3, bias=True)
CONV = Conv2D(Size(3, 3), 3)
RELU6 = Clip(low=0.0, high=6.0)


def fused(*operators: tuple[str, Operator], outputs: tuple[str, ...] = ()) -> Graph:
    """The chain conv, operators after the pass, the same function."""
    nodes = [Node("x", Input((8, 8, 2))), Node("conv", CONV, ("x",), KERNEL)]
    for name, operator in operators:
        nodes.append(Node(name, operator, (nodes[-1].name,)))
    graph = Graph("chain", tuple(nodes), (*outputs, nodes[-1].name))
    after = fuse_clips(graph)
    assert_same_function(graph, after)
    return after


def bounds(graph: Graph, name: str) -> tuple[float, float]:
    return graph.by_name[name].operator.low, graph.by_name[name].operator.high


def test_into_the_operator_before_it_which_keeps_its_name() -> None:
    graph = fused(("relu", RELU6))
    assert [node.name for node in graph.nodes] == ["x", "conv"]
    assert graph.outputs == ("conv",)
    assert bounds(graph, "conv") == (0, 6)


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ((0, 6), (1, 4), (1, 4)),
        ((1, 4), (0, 6), (1, 4)),
        ((0, 1), (2, 3), (2, 2)),
        ((-inf, 2), (0, inf), (0, 2)),
    ],
)
def test_two_clips_are_one(first: tuple[float, float], second: tuple[float, float], both: tuple[float, float]) -> None:
    graph = fused(("a", Clip(low=first[0], high=first[1])), ("b", Clip(low=second[0], high=second[1])))
    assert bounds(graph, "conv") == both
    assert len(graph.nodes) == 2


@pytest.mark.parametrize(
    "between", [MaxPool2D(Size(2, 2), Size(2, 2)), Reshape((108,)), ZeroPadding2D(Padding(1, 0, 2, 1))]
)
def test_past_what_commutes_with_it(between: Operator) -> None:
    graph = fused(("between", between), ("relu", RELU6))
    assert [node.name for node in graph.nodes] == ["x", "conv", "between"]
    assert bounds(graph, "conv") == (0, 6)


def test_not_past_zeros_that_it_changes() -> None:
    graph = fused(("zeros", ZeroPadding2D(Padding(1, 1, 1, 1))), ("clip", Clip(low=0.5, high=2.0)))
    assert [node.name for node in graph.nodes] == ["x", "conv", "zeros", "clip"]


def test_into_average_pooling_not_past_it() -> None:
    graph = fused(("pool", AveragePool2D(Size(2, 2), Size(2, 2))), ("relu", RELU6))
    assert bounds(graph, "pool") == (0, 6)
    assert bounds(graph, "conv") == (-inf, inf)


def test_not_into_what_the_network_returns_unclipped() -> None:
    graph = fused(("relu", RELU6), outputs=("conv",))
    assert [node.name for node in graph.nodes] == ["x", "conv", "relu"]


def test_not_into_what_others_read_unclipped() -> None:
    nodes = (
        Node("x", Input((8, 8, 2))),
        Node("conv", CONV, ("x",), KERNEL),
        Node("relu", RELU6, ("conv",)),
        Node("add", Add(), ("conv", "relu")),
    )
    graph = Graph("branch", nodes, ("add",))
    assert fuse_clips(graph) == graph


def test_relu_of_a_relu_is_nothing_even_where_both_are_read() -> None:
    nodes = (
        Node("x", Input((8, 8, 2))),
        Node("relu", Clip(low=0.0), ("x",)),
        Node("again", Clip(low=0.0), ("relu",)),
        Node("add", Add(), ("relu", "again")),
    )
    graph = Graph("branch", nodes, ("add",))
    assert [node.name for node in optimize(graph).nodes] == ["x", "relu", "add"]
    assert_same_function(graph, optimize(graph))
