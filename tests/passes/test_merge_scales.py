"""Scales in a row, and what becomes of a scale of the input in front of a layer that pads."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import affine_weights, assert_same_function, linear_weights, normalization_weights

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes import fold_batch_normalization, merge_scales, optimize
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

GENERATOR = np.random.default_rng(3)
NORMAL = BatchNormalization(0.01)
SIGNED = normalization_weights(GENERATOR, 3, positive=False)
AFFINE = affine_weights(GENERATOR, 3, alike=False, scaled=False)
PADDED = Conv2D(Size(3, 3), 4, padding=Padding(1, 0, 1, 1))
KERNEL = linear_weights(GENERATOR, (3, 3, 3, 4), 4, bias=True)
Step = tuple[str, Operator, dict[str, np.ndarray]]


def chain(*steps: Step) -> Graph:
    """A network of one node after the other, which reads an image."""
    nodes = [Node("x", Input((6, 5, 3)))]
    for name, operator, weights in steps:
        nodes.append(Node(name, operator, (nodes[-1].name,), weights))
    return Graph("chain", tuple(nodes), (nodes[-1].name,))


def scaled(scale: float, offset: float) -> dict[str, np.ndarray]:
    return {"scale": np.full(3, scale, np.float32), "offset": np.full(3, offset, np.float32)}


@pytest.mark.parametrize("second", [(NORMAL, SIGNED), (Affine(), AFFINE)])
@pytest.mark.parametrize("first", [(NORMAL, SIGNED), (Affine(), AFFINE)])
def test_two_are_one_with_the_statistics_of_the_normalisation(first: Step, second: Step) -> None:
    graph = chain(("first", *first), ("second", *second))
    after = merge_scales(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == ["x", "second"]
    operator = after.by_name["second"].operator
    assert isinstance(operator, BatchNormalization) == (first[0] is NORMAL or second[0] is NORMAL)
    if second[0] is NORMAL:
        assert isinstance(operator, BatchNormalization)
        found = operator.statistics(after.by_name["second"].weights)
        np.testing.assert_allclose(found, NORMAL.statistics(SIGNED), rtol=1e-5)


def test_not_what_others_read_or_what_clips_between() -> None:
    graph = chain(("first", Affine(), AFFINE), ("second", Affine(), AFFINE))
    for kept in (
        Graph("g", graph.nodes, ("first", "second")),
        chain(("a", Affine(low=0.0), AFFINE), ("b", Affine(), AFFINE)),
    ):
        assert merge_scales(kept) == kept


@pytest.mark.parametrize("operator", [PADDED, DepthwiseConv2D(Size(3, 3), 2, padding=Padding(1, 1, 0, 2))])
@pytest.mark.parametrize("first", [(), (("zeros", ZeroPadding2D(Padding(0, 1, 0, 0)), {}),)])
def test_scale_of_the_input_goes_into_a_padded_layer(operator: Operator, first: tuple[Step, ...]) -> None:
    weights = KERNEL if operator is PADDED else linear_weights(GENERATOR, (3, 3, 3, 2), 6, bias=False)
    graph = chain(("rescaling", Affine(), scaled(2 / 255, -1.0)), *first, ("conv", operator, weights))
    after = optimize(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == ["x", "conv"]
    assert after.by_name["conv"].operator.padding_value == pytest.approx(127.5)
    assert "padded with 127.5" in after.by_name["conv"].operator.describe()


def test_two_scales_of_the_input_too() -> None:
    steps = (("one", Affine(), scaled(1 / 255, 0.0)), ("two", Affine(), scaled(2.0, -1.0)))
    graph = chain(*steps, ("conv", PADDED, KERNEL))
    after = optimize(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == ["x", "conv"]


@pytest.mark.parametrize("weights", [AFFINE, scaled(0.0, 1.0)])
def test_not_where_no_one_value_becomes_zero(weights: dict[str, np.ndarray]) -> None:
    graph = chain(("affine", Affine(), weights), ("conv", PADDED, KERNEL))
    after = fold_batch_normalization(graph)
    assert_same_function(graph, after)
    assert [node.name for node in after.nodes] == ["x", "affine", "conv"]


def test_zeros_around_a_layer_that_pads_with_something_else_stay() -> None:
    padded = Conv2D(Size(3, 3), 4, padding=Padding(1, 0, 1, 1), padding_value=0.5)
    graph = chain(("zeros", ZeroPadding2D(Padding(1, 1, 1, 1)), {}), ("conv", padded, KERNEL))
    assert optimize(graph) == graph


@pytest.mark.parametrize(("offset", "expected"), [(-1.0, Format(8, False, 1.0)), (0.5, None)])
def test_the_input_can_hold_what_is_padded(offset: float, expected: Format | None) -> None:
    graph = optimize(chain(("rescaling", Affine(), scaled(1 / 127.5, offset)), ("conv", PADDED, KERNEL)))
    value = graph.by_name["conv"].operator.padding_value
    x = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 3)).astype(np.uint8)
    network = quantize(graph, calibrate(graph, DataSet({"x": x})), Options(adaptive_rounding=False))
    found = network.by_name["x"].format
    assert expected is None or found == expected
    assert abs(float(found.dequantize(found.quantize(np.array(value)))) - value) <= found.step
    real = graph.run({"x": x.astype(np.float32)})["conv"]
    integers = network.run(network.quantize_inputs({"x": x.astype(np.float32)}))["conv"]
    error = network.by_name["conv"].format.dequantize(integers) - real
    for edge in (error[:, 0], error[:, :, 0], error[:, :, -1]):  # what is padded is as exact as what is inside
        assert np.sqrt(np.mean(edge**2)) < 0.02 * np.std(real)
