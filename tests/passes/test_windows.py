"""Kernels larger than the image, windows that are the image, dense layers of many vectors: each in its cheaper form."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import assert_same_function, linear_weights

from effort import drawn
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Padding, Size, extent
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.passes import cut_kernels, dense_as_pointwise, saturate_before_functions, whole_windows_as_dense

GENERATOR, CLIP = np.random.default_rng(4), Clip(low=-1.0)


def network(shape: tuple[int, ...], operator, kernel: tuple[int, ...], outputs: int, after=CLIP) -> Graph:
    """One linear layer, and what reads it."""
    linear = Node("linear", operator, ("x",), linear_weights(GENERATOR, kernel, outputs, bias=True))
    return Graph("one", (Node("x", Input(shape)), linear, Node("after", after, ("linear",))), ("after",))


def test_kernel_on_one_pixel_is_its_middle() -> None:
    padding = Padding(1, 1, 1, 1)
    for operator, kernel in (
        (Conv2D(Size(3, 3), 4, padding=padding), (3, 3, 2, 4)),
        (DepthwiseConv2D(Size(3, 3), 2, padding=padding), (3, 3, 2, 2)),
    ):
        graph = network((1, 1, 2), operator, kernel, 4)
        after = cut_kernels(graph)
        assert after.by_name["linear"].operator.kernel_size == (1, 1)
        assert not any(after.by_name["linear"].operator.padding)
        assert_same_function(graph, after)


@settings(max_examples=drawn(200), deadline=None)
@given(data=st.data())
def test_cut_kernels_keep_the_function(data: st.DataObject) -> None:
    image, kernel, strides, dilation = (
        Size(*data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))) for _ in range(4)
    )
    span = extent(kernel, dilation)
    padding = [data.draw(st.integers(0, 4)) for _ in range(4)]
    padding[1] = max(padding[1], span.height - image.height - padding[0])
    padding[3] = max(padding[3], span.width - image.width - padding[2])
    operator = Conv2D(kernel, 2, strides, Padding(*padding), dilation)
    graph = network((*image, 2), operator, (*kernel, 2, 2), 2)
    after = cut_kernels(graph)
    assert_same_function(graph, after)
    assert after.shapes["linear"] == graph.shapes["linear"]
    assert cut_kernels(after) == after


def test_window_that_is_the_image_is_dense() -> None:
    graph = network((2, 3, 4), Conv2D(Size(2, 3), 5, low=0.0), (2, 3, 4, 5), 5)
    after = whole_windows_as_dense(graph)
    assert after.by_name["linear"].operator == Dense(5, low=0.0)
    assert after.shapes["after"] == (1, 1, 5)
    assert_same_function(graph, after)


@pytest.mark.parametrize(
    ("operator", "shape"),
    [
        (Conv2D(Size(1, 1), 4), (2, 1, 4)),
        (Conv2D(Size(1, 1), 4, groups=2), (1, 1, 4)),
        (Conv2D(Size(3, 3), 4, padding=Padding(1, 1, 1, 1)), (3, 3, 4)),
    ],
)
def test_other_convolutions_stay(operator: Conv2D, shape: tuple[int, ...]) -> None:
    graph = network(shape, operator, (*operator.kernel_size, 4 // operator.groups, 4), 4)
    assert whole_windows_as_dense(graph) == graph
    returned = Graph("g", graph.nodes[:2], ("linear",))
    assert whole_windows_as_dense(returned) == returned


@pytest.mark.parametrize(("shape", "changes"), [((3, 4), False), ((7, 4), True), ((2, 3, 4), True), ((4,), False)])
def test_dense_layers_of_many_vectors_are_convolutions(shape: tuple[int, ...], changes: bool) -> None:
    graph = network(shape, Dense(5, high=1.0), (4, 5), 5)
    after = dense_as_pointwise(graph)
    assert isinstance(after.by_name["linear"].operator, Conv2D) == changes
    assert (after == graph) != changes
    assert after.shapes["after"] == graph.shapes["after"]
    assert_same_function(graph, after)


@pytest.mark.parametrize(
    "function", ["hard_silu", "hard_sigmoid", "gelu", "gelu_tanh", "sigmoid", "tanh", "elu", "selu"]
)
def test_layers_saturate_where_the_function_that_reads_them_does(function: str) -> None:
    after = Activation(function, 1.0 if function == "elu" else 0.0)
    graph = network((4,), Dense(6), (4, 6), 6, after)
    wide = Node("linear", Dense(6), ("x",), {"kernel": 20 * graph.by_name["linear"].weights["kernel"]})
    graph = Graph("g", (graph.nodes[0], wide, graph.nodes[2]), ("after",))
    saturating = saturate_before_functions(graph)
    assert saturating.by_name["linear"].operator.low > -20
    assert_same_function(graph, saturating)
    assert saturate_before_functions(saturating) == saturating


def test_layers_that_others_read_do_not_saturate() -> None:
    graph = network((4,), Dense(6), (4, 6), 6, Activation("hard_silu"))
    both = Graph("g", graph.nodes, ("after", "linear"))
    assert saturate_before_functions(both) == both
