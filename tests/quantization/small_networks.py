"""Small float networks with every junction at which channel steps meet, and samples for them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D

SHAPE = (6, 6, 3)
CHANNELS = 4
CLIPS = ((-inf, inf), (0.0, inf), (0.0, 6.0), (-1.0, 2.0))
SAME = Padding(1, 1, 1, 1)


def linear(generator: np.random.Generator, kind: str, channels: int, name: str, source: str, clip=(0.0, inf)) -> Node:
    """A linear node of the kind with random weights whose channels differ in scale."""
    low, high = clip
    if kind == "depthwise":
        operator, shape, outputs = DepthwiseConv2D(Size(3, 3), 1, Size(1, 1), SAME), (3, 3, channels, 1), channels
    elif kind == "dense":
        operator, shape, outputs = Dense(CHANNELS), (channels, CHANNELS), CHANNELS
    elif kind == "pointwise":
        operator, shape, outputs = Conv2D(Size(1, 1), CHANNELS), (1, 1, channels, CHANNELS), CHANNELS
    else:
        operator = Conv2D(Size(3, 3), CHANNELS, Size(1, 1), SAME)
        shape, outputs = (3, 3, channels, CHANNELS), CHANNELS
    operator = type(operator)(**{**vars(operator), "low": low, "high": high})
    kernel = generator.normal(0, 1 / np.sqrt(np.prod(shape[:-1])), shape)
    scales = np.exp(generator.normal(0, 0.7, outputs))
    kernel = kernel * (scales.reshape(-1, 1) if kind == "depthwise" else scales)
    bias = generator.normal(0, 0.3, outputs) * scales
    return Node(name, operator, (source,), {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)})


def chain(*nodes: Node, shape: tuple[int, ...] = SHAPE, outputs: tuple[str, ...] = ()) -> Graph:
    """The graph of an input ``image`` and the nodes."""
    return Graph("small", (Node("image", Input(shape)), *nodes), outputs or (nodes[-1].name,))


KINDS = ("conv", "pointwise", "depthwise", "add", "add", "clip", "max", "average", "padded_average", "padding")


@st.composite
def networks(draw: Callable, with_head: bool = True) -> Graph:
    """Up to six layers on images, chains and branches; then perhaps flatten, dense and softmax."""
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    nodes = [Node("image", Input(SHAPE))]
    nodes.append(linear(generator, "conv", SHAPE[-1], "conv_0", "image", draw(st.sampled_from(CLIPS))))
    for index in range(1, draw(st.integers(1, 6))):
        shapes = infer_shapes(tuple(nodes))
        kind = draw(st.sampled_from(KINDS))
        images = [name for name, shape in shapes.items() if shape[-1] == CHANNELS]
        source = images[-1] if draw(st.integers(0, 2)) else draw(st.sampled_from(images))
        nodes.append(_node(draw, generator, kind, f"{kind}_{index}", source, shapes))
    if with_head and draw(st.booleans()):
        shape = infer_shapes(tuple(nodes))[nodes[-1].name]
        nodes.append(Node("flatten", Reshape((int(np.prod(shape)),)), (nodes[-1].name,)))
        nodes.append(linear(generator, "dense", int(np.prod(shape)), "dense", "flatten", (-inf, inf)))
        if draw(st.booleans()):
            nodes.append(Node("softmax", Softmax(), ("dense",)))
    return Graph("random", tuple(nodes), (nodes[-1].name,))


def _node(draw: Callable, generator: np.random.Generator, kind: str, name: str, source: str, shapes: dict) -> Node:
    low, high = draw(st.sampled_from(CLIPS))
    if kind in ("conv", "pointwise", "depthwise"):
        return linear(generator, kind, CHANNELS, name, source, (low, high))
    if kind == "add":
        others = [other for other, shape in shapes.items() if shape == shapes[source]]
        return Node(name, Add(low=low, high=high), (source, draw(st.sampled_from(others))))
    if kind == "clip":
        return Node(name, Clip(low=low, high=high), (source,))
    if kind == "padding":
        return Node(name, ZeroPadding2D(Padding(1, 0, 0, 1)), (source,))
    pool = MaxPool2D if kind == "max" else AveragePool2D
    return (
        Node(
            name,
            pool(Size(2, 2), Size(1, 1), Padding(0, 1, 0, 1) if kind.startswith("padded") else Padding()),
            (source,),
        )
        if min(shapes[source][:2]) > 1
        else Node(name, Clip(low=low, high=high), (source,))
    )


def samples(graph: Graph, count: int = 8, seed: int = 0, scale: float = 1.0) -> DataSet:
    """Random samples for every input."""
    generator = np.random.default_rng(seed)
    shapes = {name: graph.shapes[name] for name in graph.inputs}
    return DataSet({n: generator.normal(0, scale, (count, *s)).astype(np.float32) for n, s in shapes.items()})
