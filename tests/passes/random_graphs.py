"""Random float graphs, and what a pass has to keep."""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D

Weights = dict[str, np.ndarray]
CLIPS = [(-inf, inf), (0.0, inf), (0.0, 6.0), (-0.5, 0.75), (0.25, 1.0)]
SAME = {Size(3, 3): Padding(1, 1, 1, 1), Size(1, 1): Padding(), Size(2, 3): Padding(0, 1, 1, 1)}


def linear_weights(generator: np.random.Generator, kernel: tuple[int, ...], outputs: int, bias: bool) -> Weights:
    """A kernel and, perhaps, a bias."""
    weights = {"kernel": generator.normal(0, 0.5, kernel).astype(np.float32)}
    return {**weights, "bias": generator.normal(0, 1, outputs).astype(np.float32)} if bias else weights


def normalization_weights(generator: np.random.Generator, channels: int, positive: bool) -> Weights:
    """Weights of a batch normalisation; gamma of both signs unless ``positive``."""
    gamma = generator.normal(0, 1, channels)
    return {
        "gamma": (np.abs(gamma) + 0.1 if positive else gamma).astype(np.float32),
        "beta": generator.normal(0, 1, channels).astype(np.float32),
        "mean": generator.normal(0, 1, channels).astype(np.float32),
        "variance": generator.uniform(0.2, 2, channels).astype(np.float32),
    }


def affine_weights(generator: np.random.Generator, channels: int, alike: bool, scaled: bool) -> Weights:
    """A factor and an offset by channel, or ``alike`` for all channels; no offset where only ``scaled``."""
    scale, offset = generator.normal(0.3, 1, channels), generator.normal(0, 1, channels) * (not scaled)
    if alike:
        scale, offset = np.full(channels, scale[0]), np.full(channels, offset[0])
    return {"scale": scale.astype(np.float32), "offset": offset.astype(np.float32)}


@st.composite
def graphs(draw: Callable) -> Graph:
    """A graph of up to nine nodes: chains and branches, values read once or more often, one output or more."""
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    channels = draw(st.integers(1, 3))
    nodes = [Node("image", Input((6, 5, channels)))]
    for index in range(draw(st.integers(1, 9))):
        shapes = infer_shapes(tuple(nodes))
        recent = nodes[-1].name if draw(st.integers(0, 4)) else draw(st.sampled_from([node.name for node in nodes]))
        kind = draw(st.sampled_from(IMAGE_KINDS if len(shapes[recent]) == 3 else VECTOR_KINDS))
        operator, weights = draw_operator(draw, generator, kind, shapes[recent])
        inputs = (recent,)
        if kind in ("add", "concatenate"):
            others = [name for name, shape in shapes.items() if shape == shapes[recent]]
            inputs = (recent, draw(st.sampled_from(others)))
        nodes.append(Node(f"{kind}_{index}", operator, inputs, weights))
    names = [node.name for node in nodes[1:]]
    return Graph(
        "random",
        tuple(nodes),
        tuple(dict.fromkeys([*draw(st.lists(st.sampled_from(names), max_size=2)), names[-1]])),
    )


IMAGE_KINDS = (
    "conv", "depthwise", "normalization", "normalization", "clip", "clip", "identity", "padding", "max", "average",
    "flatten", "reshape", "add", "activation", "dense", "affine", "affine", "concatenate", "permute", "slice",
)  # fmt: skip
VECTOR_KINDS = (
    "dense", "normalization", "clip", "identity", "reshape", "add", "activation", "affine", "concatenate", "slice",
)  # fmt: skip


def draw_operator(
    draw: Callable, generator: np.random.Generator, kind: str, shape: tuple[int, ...]
) -> tuple[Operator, Weights]:
    """An operator of the kind for an input of the shape, and its weights."""
    if kind in ("conv", "depthwise", "dense"):
        return _linear(draw, generator, kind, shape)
    if kind == "normalization":
        return BatchNormalization(0.01), normalization_weights(generator, shape[-1], draw(st.booleans()))
    if kind == "affine":
        return Affine(), affine_weights(generator, shape[-1], draw(st.booleans()), draw(st.booleans()))
    return _plain(draw, kind, shape), {}


def _fused(draw: Callable) -> dict[str, float]:
    """Perhaps a clip."""
    return dict(zip(("low", "high"), draw(st.sampled_from(CLIPS)), strict=True)) if draw(st.integers(0, 3)) == 0 else {}


def _linear(
    draw: Callable, generator: np.random.Generator, kind: str, shape: tuple[int, ...]
) -> tuple[Operator, Weights]:
    channels, filters, bias, fused = shape[-1], draw(st.integers(1, 3)), draw(st.booleans()), _fused(draw)
    if kind == "dense":
        return Dense(filters, **fused), linear_weights(generator, (channels, filters), filters, bias)
    kernel = draw(st.sampled_from(sorted(SAME)))
    padding = _fit(kernel, shape, SAME[kernel] if draw(st.booleans()) else Padding())
    weights_shape = (*kernel, channels, filters)
    if kind == "conv":
        return Conv2D(kernel, filters, padding=padding, **fused), linear_weights(
            generator, weights_shape, filters, bias
        )
    operator = DepthwiseConv2D(kernel, filters, padding=padding, **fused)
    return operator, linear_weights(generator, weights_shape, channels * filters, bias)


def _plain(draw: Callable, kind: str, shape: tuple[int, ...]) -> Operator:
    """An operator without weights."""
    rows, channels = int(np.prod(shape[:-1])), shape[-1]
    low, high = draw(st.sampled_from(CLIPS))
    makers: dict[str, Callable[[], Operator]] = {
        "clip": lambda: Clip(low=low, high=high),
        "padding": lambda: ZeroPadding2D(Padding(*draw(st.lists(st.integers(0, 1), min_size=4, max_size=4)))),
        "max": lambda: MaxPool2D(*_window(draw, shape)),
        "average": lambda: AveragePool2D(*_window(draw, shape)),
        "flatten": lambda: Reshape((rows * channels,)),
        "reshape": lambda: Reshape(draw(st.sampled_from([shape, (1, rows, channels), (rows, channels)]))),
        "permute": lambda: Permute(draw(st.sampled_from([(2, 1, 3), (1, 2, 3), (3, 2, 1)]))),
        "slice": lambda: _slice(shape, tuple(draw(st.integers(1, size)) for size in shape)),
        "concatenate": lambda: Concatenate(-1, **_fused(draw)),
        "activation": lambda: Activation("leaky_relu", 0.25),
        "add": Add,
        "identity": Clip,
    }
    return makers[kind]()


def _window(draw: Callable, shape: tuple[int, ...]) -> tuple[Size, Size]:
    size = Size(*draw(st.sampled_from([(1, 1), (2, 2), (1, 2)])))
    size = size if size.height <= shape[0] and size.width <= shape[1] else Size(1, 1)
    return size, size


def _slice(shape: tuple[int, ...], sizes: tuple[int, ...]) -> Slice:
    return Slice(tuple(size - part for size, part in zip(shape, sizes, strict=True)), sizes)


def _fit(kernel: Size, shape: tuple[int, ...], padding: Padding) -> Padding:
    return padding if kernel.height <= shape[0] and kernel.width <= shape[1] else SAME[kernel]


def assert_same_function(before: Graph, after: Graph) -> None:
    """Both give the same outputs, in the same order, to the precision of the weights."""
    x = {name: np.random.default_rng(1).normal(0, 1, (3, *before.shapes[name])) for name in before.inputs}
    assert after.inputs == before.inputs
    old, new = before.run(x), after.run(x)
    assert len(after.outputs) == len(before.outputs)
    for a, b in zip(before.outputs, after.outputs, strict=True):
        np.testing.assert_allclose(new[b], old[a], rtol=0, atol=1e-5 * max(1.0, np.abs(old[a]).max()))
