"""What a float graph promises: shapes, order, values by name, text, comparison."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape

KERNEL = {"kernel": np.array([[1.0, -1.0], [2.0, 0.5]])}
NODES = (
    Node("x", Input((2,))),
    Node("dense", Dense(2), ("x",), KERNEL),
    Node("relu", Clip(low=0.0), ("dense",)),
    Node("sum", Add(), ("dense", "relu")),
)
GRAPH = Graph("net", NODES, ("relu", "sum"))
SAMPLES = {"x": np.array([[1.0, 2.0], [-3.0, 1.0]])}
DENSE = SAMPLES["x"] @ KERNEL["kernel"]


def test_outputs_come_by_name() -> None:
    outputs = GRAPH.run(SAMPLES)
    assert list(outputs) == ["relu", "sum"]
    np.testing.assert_array_equal(outputs["relu"], np.maximum(DENSE, 0))
    np.testing.assert_array_equal(outputs["sum"], DENSE + np.maximum(DENSE, 0))


def test_visitor_sees_every_value_and_may_replace_it() -> None:
    seen: list[str] = []

    def visit(node: Node, value: np.ndarray) -> np.ndarray:
        seen.append(node.name)
        return np.zeros_like(value) if node.name == "dense" else value

    outputs = GRAPH.run(SAMPLES, visit)
    assert seen == ["x", "dense", "relu", "sum"]
    assert not np.any(outputs["sum"])


def test_text_has_a_line_a_node_and_the_outputs() -> None:
    assert GRAPH.text().splitlines() == [
        "x: Input 2",
        "dense: Dense 2 <- x",
        "relu: Clip, ReLU 2 <- dense",
        "sum: Add 2 <- dense, relu",
        "outputs: relu, sum",
    ]


def test_inputs_and_consumers() -> None:
    assert GRAPH.inputs == ("x",)
    assert [node.name for node in GRAPH.consumers("dense")] == ["relu", "sum"]


def test_graphs_of_other_weights_differ() -> None:
    other = Node("dense", Dense(2), ("x",), {"kernel": KERNEL["kernel"] + 1})
    assert Graph("net", NODES, ("sum",)) == Graph("net", NODES, ("sum",))
    assert Graph("net", (NODES[0], other), ("dense",)) != Graph("net", NODES[:2], ("dense",))


@pytest.mark.parametrize(
    ("node", "cause"),
    [
        (Node("odd", Reshape((5,)), ("x",)), r"layer 'odd': shapes do not fit \(cannot reshape \(2,\) to \(5,\)\)"),
        (Node("odd", Clip(), ("missing",)), "layer 'odd': shapes do not fit"),
        (Node("odd", Reshape((2, 1)), ()), "layer 'odd': shapes do not fit"),
        (Node("odd", Input((0,))), r"layer 'odd': output shape \(0,\) is empty"),
    ],
)
def test_shapes_that_do_not_fit_name_the_layer(node: Node, cause: str) -> None:
    with pytest.raises(GgdqError, match=cause):
        _ = Graph("net", (NODES[0], node), ("odd",)).shapes
