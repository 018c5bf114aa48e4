"""Where batch normalisation goes, case by case."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from random_graphs import Weights, assert_same_function, linear_weights, normalization_weights

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.passes import fold_batch_normalization, optimize

GENERATOR = np.random.default_rng(5)
NORMAL = BatchNormalization(0.01)
POSITIVE = normalization_weights(GENERATOR, 3, positive=True)
SIGNED = {**POSITIVE, "gamma": np.array([1.0, -2.0, 0.5], np.float32)}
CONV = Conv2D(Size(3, 3), 3)
KERNEL = linear_weights(GENERATOR, (3, 3, 3, 3), 3, bias=True)
Step = tuple[str, Operator, Weights]


def chain(*steps: Step, shape: tuple[int, ...] = (8, 8, 3)) -> Graph:
    """A network of one node after the other."""
    nodes = [Node("x", Input(shape))]
    for name, operator, weights in steps:
        nodes.append(Node(name, operator, (nodes[-1].name,), weights))
    return Graph("chain", tuple(nodes), (nodes[-1].name,))


def folded(graph: Graph, *names: str) -> Graph:
    """The graph after the pass: the same function, and these nodes after the input."""
    after = fold_batch_normalization(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes[1:]] == list(names)
    return after


def kinds(graph: Graph) -> Sequence[str]:
    return [type(node.operator).__name__ for node in graph.nodes[1:]]


def test_into_the_convolution_before_it_with_the_statistics_of_training() -> None:
    graph = folded(chain(("conv", CONV, KERNEL), ("bn", NORMAL, SIGNED), ("relu", Clip(low=0), {})), "conv", "relu")
    statistics = graph.by_name["conv"].statistics
    assert statistics is not None
    np.testing.assert_array_equal(statistics.mean, SIGNED["beta"])
    variance = SIGNED["variance"].astype(np.float64)
    deviation = np.abs(SIGNED["gamma"]) * np.sqrt(variance / (variance + 0.01))
    np.testing.assert_allclose(statistics.deviation, deviation, rtol=1e-12)


def test_statistics_are_those_of_the_output_on_data_like_that_of_training() -> None:
    x = np.random.default_rng(0).normal(0, 1, (2000, 4))
    dense = linear_weights(GENERATOR, (4, 3), 3, bias=True)
    linear = x @ dense["kernel"] + dense["bias"]
    weights = {**SIGNED, "mean": linear.mean(0), "variance": linear.var(0)}
    graph = fold_batch_normalization(chain(("dense", Dense(3), dense), ("bn", NORMAL, weights), shape=(4,)))
    statistics = graph.by_name["dense"].statistics
    assert statistics is not None
    output = graph.run({"x": x})["dense"]
    np.testing.assert_allclose(statistics.mean, output.mean(0), rtol=1e-4)
    np.testing.assert_allclose(statistics.deviation, output.std(0), rtol=1e-4)


def test_into_a_convolution_that_has_no_bias() -> None:
    graph = folded(chain(("conv", CONV, {"kernel": KERNEL["kernel"]}), ("bn", NORMAL, POSITIVE)), "conv")
    assert graph.by_name["conv"].weights.keys() == {"kernel", "bias"}


def test_into_depthwise_with_a_multiplier() -> None:
    depthwise = DepthwiseConv2D(Size(2, 2), 3)
    weights = linear_weights(GENERATOR, (2, 2, 1, 3), 3, bias=True)
    folded(chain(("depthwise", depthwise, weights), ("bn", NORMAL, SIGNED), shape=(5, 5, 1)), "depthwise")


def test_two_in_a_row() -> None:
    folded(chain(("conv", CONV, KERNEL), ("bn", NORMAL, POSITIVE), ("again", NORMAL, SIGNED)), "conv")


def test_missing_gamma_and_beta_are_one_and_zero() -> None:
    weights = {key: POSITIVE[key] for key in ("mean", "variance")}
    folded(chain(("conv", CONV, KERNEL), ("bn", NORMAL, weights)), "conv")


def test_back_through_average_pooling_without_statistics() -> None:
    pool = AveragePool2D(Size(2, 2), Size(2, 2))
    graph = folded(chain(("conv", CONV, KERNEL), ("pool", pool, {}), ("bn", NORMAL, SIGNED)), "conv", "pool")
    assert graph.by_name["conv"].statistics is None


def test_through_max_pooling_only_where_the_largest_stays_the_largest() -> None:
    pool = MaxPool2D(Size(2, 2), Size(2, 2))
    folded(chain(("conv", CONV, KERNEL), ("pool", pool, {}), ("bn", NORMAL, POSITIVE)), "conv", "pool")
    graph = folded(chain(("conv", CONV, KERNEL), ("pool", pool, {}), ("bn", NORMAL, SIGNED)), "conv", "pool", "bn")
    assert kinds(graph) == ["Conv2D", "MaxPool2D", "DepthwiseConv2D"]


def test_forward_into_a_convolution_without_padding() -> None:
    steps: list[Step] = [("relu", Clip(low=0), {}), ("bn", NORMAL, SIGNED), ("conv", CONV, KERNEL)]
    folded(chain(*steps), "relu", "conv")


def test_not_forward_where_padding_comes_between() -> None:
    padded = Conv2D(Size(3, 3), 3, padding=Padding(1, 1, 1, 1))
    graph = folded(
        chain(("relu", Clip(low=0), {}), ("bn", NORMAL, SIGNED), ("conv", padded, KERNEL)),
        "relu",
        "bn",
        "conv",
    )
    assert kinds(graph) == ["Clip", "DepthwiseConv2D", "Conv2D"]


def test_forward_in_spite_of_padding_where_there_is_no_offset() -> None:
    padded = Conv2D(Size(3, 3), 3, padding=Padding(1, 1, 1, 1))
    weights = {**SIGNED, "beta": np.zeros(3, np.float32), "mean": np.zeros(3, np.float32)}
    folded(chain(("relu", Clip(low=0), {}), ("bn", NORMAL, weights), ("conv", padded, KERNEL)), "relu", "conv")


def test_forward_through_pooling_and_flatten_into_dense() -> None:
    dense = linear_weights(GENERATOR, (48, 4), 4, bias=False)
    steps: list[Step] = [
        ("tanh", Activation("tanh"), {}),
        ("bn", NORMAL, POSITIVE),
        ("pool", MaxPool2D(Size(2, 2), Size(2, 2)), {}),
        ("flatten", Reshape((48,)), {}),
        ("dense", Dense(4), dense),
    ]
    folded(chain(*steps), "tanh", "pool", "flatten", "dense")


def test_forward_into_groups() -> None:
    grouped = Conv2D(Size(2, 2), 6, groups=3)
    weights = linear_weights(GENERATOR, (2, 2, 1, 6), 6, bias=True)
    folded(
        chain(("tanh", Activation("tanh"), {}), ("bn", NORMAL, SIGNED), ("conv", grouped, weights)),
        "tanh",
        "conv",
    )


def test_clipped_convolution_keeps_its_normalization_apart() -> None:
    clipped = Conv2D(Size(3, 3), 3, low=0.0)
    graph = folded(chain(("conv", clipped, KERNEL), ("bn", NORMAL, SIGNED)), "conv", "bn")
    assert graph.by_name["bn"].statistics is not None


def test_of_a_vector_becomes_a_depthwise_convolution_between_reshapes() -> None:
    graph = folded(
        chain(("tanh", Activation("tanh"), {}), ("bn", NORMAL, SIGNED), shape=(3,)),
        "tanh",
        "bn_image",
        "bn_scaled",
        "bn",
    )
    assert kinds(graph) == ["Activation", "Reshape", "DepthwiseConv2D", "Reshape"]
    assert graph.shapes["bn"] == (3,)


def test_convolution_that_others_read_keeps_its_weights() -> None:
    nodes = (
        Node("x", Input((8, 8, 3))),
        Node("conv", CONV, ("x",), KERNEL),
        Node("bn", NORMAL, ("conv",), SIGNED),
        Node("tanh", Activation("tanh"), ("conv",)),
    )
    graph = fold_batch_normalization(Graph("branch", nodes, ("bn", "tanh")))
    assert_same_function(Graph("branch", nodes, ("bn", "tanh")), graph)
    assert graph.by_name["conv"] == nodes[1]


def test_relu_behind_a_folded_vector_normalization_is_fused() -> None:
    graph = chain(("tanh", Activation("tanh"), {}), ("bn", NORMAL, SIGNED), ("relu", Clip(low=0), {}), shape=(3,))
    assert_same_function(graph, optimize(graph))
    assert kinds(optimize(graph)) == ["Activation", "Reshape", "DepthwiseConv2D", "Reshape"]


@pytest.mark.parametrize("inline", [True, False])
def test_normalization_behind_a_relu_tells_nothing_of_what_is_before_the_relu(inline: bool) -> None:
    weights = {**POSITIVE, "beta": np.zeros(3, np.float32), "mean": np.zeros(3, np.float32)}
    relu: list[Step] = [] if inline else [("relu", Clip(low=0), {})]
    conv = Conv2D(Size(3, 3), 3, low=0.0) if inline else CONV
    graph = chain(("conv", conv, KERNEL), *relu, ("bn", NORMAL, weights))
    after = optimize(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == ["x", "conv"]
    assert after.by_name["conv"].statistics is None
