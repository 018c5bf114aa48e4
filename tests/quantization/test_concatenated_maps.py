"""Maps that are concatenated keep their steps, where what reads them can take channel steps."""

from __future__ import annotations

import numpy as np

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node, QuantizedGraph
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.quantize import quantize


def network(reader: Operator, channels: int) -> QuantizedGraph:
    """Two rectified convolutions of very different size, concatenated, and what reads them."""
    random = np.random.default_rng(0)

    def conv(name: str, scale: float, filters: int, source: str, inputs: int, low: float) -> Node:
        kernel = random.normal(0, scale, (1, 1, inputs, filters)).astype(np.float32)
        return Node(name, Conv2D(Size(1, 1), filters, low=low), (source,), {"kernel": kernel})

    nodes = [
        Node("image", Input((5, 4, 3))),
        conv("large", 10, 4, "image", 3, 0.0),
        conv("small", 0.1, 3, "image", 3, 0.0),
        Node("both", Concatenate(-1), ("large", "small")),
    ]
    if isinstance(reader, Conv2D):
        nodes.append(conv("reader", 1, channels, "both", 7, -np.inf))
    else:
        nodes.append(Node("reader", reader, ("both",)))
    graph = Graph("net", tuple(nodes), ("reader",))
    x = random.normal(0, 1, (200, 5, 4, 3)).astype(np.float32)
    return quantize(graph, calibrate(graph, DataSet({"image": x})))


def moved(graph: QuantizedGraph) -> list[bool]:
    node = graph.by_name["both"]
    return [part["moved"] for part in node.operator.kernels(graph.layer(node))[0].parameters["parts"]]


def test_convolution_reads_every_channel_in_its_own_step() -> None:
    graph = network(Conv2D(Size(1, 1), 2), 2)
    steps = [np.broadcast_to(graph.by_name[name].format.step, count) for name, count in (("large", 4), ("small", 3))]
    np.testing.assert_array_equal(graph.by_name["both"].format.step, np.concatenate(steps))
    assert moved(graph) == [True, True]


def test_table_needs_one_step_for_all() -> None:
    graph = network(Activation("tanh"), 7)
    assert not graph.by_name["both"].format.per_channel
    assert not all(moved(graph))
