"""Functions that are written out, as exporters do, become one table; other products stay."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import assert_same_function

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.passes import optimize, recognize_functions


class Written:
    """A graph that is put down node by node."""

    def __init__(self) -> None:
        self.nodes = [Node("x", Input((4, 5, 3))), Node("tanh", Activation("tanh"), ("x",))]

    def __call__(self, operator: Operator, *sources: str) -> str:
        self.nodes.append(Node(f"n{len(self.nodes)}", operator, sources))
        return self.nodes[-1].name

    def scaled(self, source: str, scale: float, offset: float = 0.0) -> str:
        values = {"scale": np.full(3, scale, np.float32), "offset": np.full(3, offset, np.float32)}
        self.nodes.append(Node(f"n{len(self.nodes)}", Affine(), (source,), values))
        return self.nodes[-1].name

    def graph(self) -> Graph:
        return Graph("written", tuple(self.nodes), (self.nodes[-1].name,))


def silu(g: Written) -> None:
    g(Multiply(), "tanh", g(Activation("sigmoid"), "tanh"))


def hard_silu(g: Written) -> None:
    g.scaled(g(Multiply(), "tanh", g(Clip(low=0.0, high=6.0), g.scaled("tanh", 1.0, 3.0))), 1 / 6)


def gelu(g: Written) -> None:
    inner = g.scaled(g(Activation("erf"), g.scaled("tanh", 1 / np.sqrt(2))), 1.0, 1.0)
    g(Multiply(), g.scaled("tanh", 0.5), inner)


def gelu_tanh(g: Written) -> None:
    cube = g(Multiply(), g(Multiply(), "tanh", "tanh"), "tanh")
    inner = g.scaled(g(Add(), "tanh", g.scaled(cube, 0.044715)), np.sqrt(2 / np.pi))
    g(Multiply(), g.scaled("tanh", 0.5), g.scaled(g(Activation("tanh"), inner), 1.0, 1.0))


def mish(g: Written) -> None:
    g(Multiply(), g(Activation("tanh"), g(Activation("softplus"), "tanh")), "tanh")


def softsign(g: Written) -> None:
    g(Multiply(), "tanh", g(Activation("reciprocal"), g.scaled(g(Activation("absolute"), "tanh"), 1.0, 1.0)))


@pytest.mark.parametrize("write", [silu, hard_silu, gelu, gelu_tanh, mish, softsign])
def test_written_function_is_one_table(write) -> None:
    written = Written()
    write(written)
    graph = written.graph()
    after = recognize_functions(graph)
    assert [node.operator for node in after.nodes[2:]] == [Activation(write.__name__)]
    assert after.outputs == graph.outputs
    assert_same_function(graph, after)
    assert_same_function(graph, optimize(graph))


def test_what_others_read_stays_beside_the_table() -> None:
    written = Written()
    gate = written(Activation("sigmoid"), "tanh")
    product = written(Multiply(), "tanh", gate)
    written(Add(), product, gate)
    graph = written.graph()
    after = recognize_functions(graph)
    assert [node.operator for node in after.nodes[2:]] == [Activation("sigmoid"), Activation("silu"), Add()]
    assert_same_function(graph, after)


def test_other_products_stay() -> None:
    written = Written()
    written(Multiply(), "tanh", written(Activation("sigmoid"), "x"))
    assert recognize_functions(written.graph()) == written.graph()
    gated = Written()
    gated(Multiply(), "tanh", gated(Activation("sigmoid"), gated.scaled("tanh", 1.702)))
    assert recognize_functions(gated.graph()) == gated.graph()
