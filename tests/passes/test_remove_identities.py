"""Which nodes do nothing, and where even such a node has to stay."""

from __future__ import annotations

import pytest
from random_graphs import assert_same_function

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes import remove_dead_nodes, remove_identities

X = Node("x", Input((4, 4, 2)))
TANH = Node("tanh", Activation("tanh"), ("x",))
NOTHING = [
    Clip(),
    Reshape((4, 4, 2)),
    ZeroPadding2D(Padding()),
    MaxPool2D(Size(1, 1), Size(1, 1)),
    AveragePool2D(Size(1, 1), Size(1, 1)),
]
SOMETHING = [
    Clip(low=0.0),
    Reshape((32,)),
    ZeroPadding2D(Padding(0, 0, 0, 1)),
    MaxPool2D(Size(1, 1), Size(2, 1)),
    AveragePool2D(Size(1, 2), Size(1, 1)),
]


@pytest.mark.parametrize("operator", NOTHING)
def test_node_that_does_nothing_goes(operator: Operator) -> None:
    graph = Graph(
        "g", (X, TANH, Node("none", operator, ("tanh",)), Node("after", Clip(low=0.0), ("none",))), ("after",)
    )
    after = remove_identities(graph)
    assert [node.name for node in after.nodes] == ["x", "tanh", "after"]
    assert_same_function(graph, after)


@pytest.mark.parametrize("operator", SOMETHING)
def test_node_that_does_something_stays(operator: Operator) -> None:
    graph = Graph("g", (X, TANH, Node("some", operator, ("tanh",))), ("some",))
    assert remove_identities(graph) == graph


def test_output_moves_to_what_the_node_reads() -> None:
    assert remove_identities(Graph("g", (X, TANH, Node("none", Clip(), ("tanh",))), ("none",))).outputs == ("tanh",)


def test_network_never_returns_its_input_itself() -> None:
    graph = Graph("g", (X, Node("none", Clip(), ("x",))), ("none",))
    assert remove_identities(graph) == graph


def test_outputs_stay_as_many_as_they_were() -> None:
    graph = Graph("g", (X, TANH, Node("one", Clip(), ("tanh",)), Node("two", Clip(), ("tanh",))), ("one", "two"))
    after = remove_identities(graph)
    assert_same_function(graph, after)
    assert len(set(after.outputs)) == 2


def test_reshapes_in_a_row_are_one() -> None:
    nodes = (
        X,
        Node("a", Reshape((32,)), ("x",)),
        Node("b", Reshape((2, 16)), ("a",)),
        Node("c", Reshape((8, 4)), ("b",)),
    )
    graph = Graph("g", nodes, ("c",))
    after = remove_identities(graph)
    assert [node.name for node in after.nodes] == ["x", "c"]
    assert_same_function(graph, after)


def test_dead_nodes_go_and_inputs_stay() -> None:
    graph = Graph("g", (X, Node("y", Input((3,))), TANH, Node("dead", Clip(), ("x",))), ("tanh",))
    assert [node.name for node in remove_dead_nodes(graph).nodes] == ["x", "y", "tanh"]
