"""Whole networks become integers: any network, any option, always within what the arithmetic allows."""

from __future__ import annotations

from dataclasses import fields, replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import CHANNELS, SHAPE, chain, linear, networks, samples

from effort import drawn
from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.pipeline.analyze import Measurement
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

SWITCHES = [field.name for field in fields(Options) if field.type == "bool"]
GENERATOR = np.random.default_rng(11)

options = st.builds(
    Options,
    scheme=st.sampled_from(["ggd-tuned", "minmax", "ggd", "pow2"]),
    bits=st.sampled_from([2, 4, 7, 8, 16]),
    weight_bits=st.sampled_from([2, 4, 8, 16]),
    **{name: st.booleans() for name in SWITCHES},
)


def extremes(network: QuantizedGraph) -> np.ndarray:
    """Inputs of every lowest, every highest, both at random, and at random."""
    form = network.by_name["image"].format
    generator = np.random.default_rng(0)
    ends = generator.choice([form.low, form.high], (3, *SHAPE))
    rest = generator.integers(form.low, form.high, (3, *SHAPE), endpoint=True)
    whole = [np.full((1, *SHAPE), form.low), np.full((1, *SHAPE), form.high)]
    return np.concatenate([*whole, ends, rest]).astype(form.dtype)


@settings(deadline=None, max_examples=drawn(80))
@given(networks(), options)
def test_accumulators_stay_within_their_type_for_any_input(graph: Graph, chosen: Options) -> None:
    network = quantize(graph, calibrate(graph, samples(graph)), chosen)
    values: dict[str, np.ndarray] = {}

    def check(node, value):
        values[node.name] = value
        assert value.dtype == node.format.dtype
        assert value.min() >= node.format.low
        assert value.max() <= node.format.high
        if isinstance(node.operator, Linear):
            source = network.by_name[node.inputs[0]].format
            constants = node.constants
            bound = node.operator.accumulator_bound(constants["kernel"], constants["bias"], source)
            image = values[node.inputs[0]].astype(object)
            sums = node.operator.accumulate(image, constants["kernel"].astype(object), source.zero_point)
            assert np.all(abs(sums + constants["bias"].astype(object)) <= bound)
            assert bound.max() < 2**31 or constants["wide"] == 1
            assert bound.max() < 2**62
            assert np.all(constants["shift"] >= 0)
            assert np.all(constants["shift"] <= 31)
            limit = 1 << (chosen.weight_bits - 1)
            assert constants["kernel"].min() >= -limit
            assert constants["kernel"].max() < limit
        return value

    network.run({"image": extremes(network)}, check)


@settings(deadline=None, max_examples=drawn(25))
@given(networks(), options)
def test_the_same_input_gives_the_same_network(graph: Graph, chosen: Options) -> None:
    calibration = calibrate(graph, samples(graph))
    assert quantize(graph, calibration, chosen) == quantize(graph, calibration, chosen)


@settings(deadline=None, max_examples=drawn(40))
@given(networks(with_head=False))
def test_eight_bits_stay_near_the_float_network(graph: Graph) -> None:
    data = samples(graph, 30)
    network = quantize(graph, calibrate(graph, data))
    name = graph.outputs[0]
    expected = graph.run(data.samples)[name]
    found = network.by_name[name].format.dequantize(network.run(network.quantize_inputs(data.samples))[name])
    assert ((found - expected) ** 2).sum() <= 1e-2 * (expected**2).sum() + 1e-9


def network() -> Graph:
    return chain(
        linear(GENERATOR, "conv", 3, "a", "image"),
        linear(GENERATOR, "depthwise", 4, "b", "a"),
        linear(GENERATOR, "pointwise", 4, "c", "b"),
        Node("pool", AveragePool2D(Size(6, 6), Size(6, 6)), ("c",)),
        Node("flat", Reshape((CHANNELS,)), ("pool",)),
        linear(GENERATOR, "dense", 4, "dense", "flat", (-inf, inf)),
        Node("softmax", Softmax(), ("dense",)),
    )


GRAPH = network()
DATA = samples(GRAPH, 20)
CALIBRATION = calibrate(GRAPH, DATA)


def bits_of(chosen: Options) -> dict[str, int]:
    return {node.name: node.format.bits for node in quantize(GRAPH, CALIBRATION, chosen).nodes}


def test_narrow_maps_are_narrow_where_they_are_large() -> None:
    assert bits_of(Options(bits=4)) == {
        "image": 8, "a": 4, "b": 4, "c": 4, "pool": 8, "flat": 8, "dense": 16, "softmax": 8,
    }  # fmt: skip


def test_what_only_softmax_reads_is_wide_unless_switched_off() -> None:
    assert bits_of(Options())["dense"] == 16
    assert bits_of(Options(wide_logits=False))["dense"] == 8


def test_single_layers_may_have_bit_lengths_of_their_own() -> None:
    chosen = Options(layer_bits={"a": 4, "c": 16}, layer_weight_bits={"b": 2})
    assert bits_of(chosen) == {
        "image": 8, "a": 4, "b": 8, "c": 16, "pool": 8, "flat": 8, "dense": 16, "softmax": 8,
    }  # fmt: skip
    kernels = quantize(GRAPH, CALIBRATION, chosen).by_name
    assert set(np.unique(kernels["b"].constants["kernel"])) <= {-2, -1, 0, 1}
    assert np.abs(kernels["c"].constants["kernel"].astype(int)).max() > 2


def test_a_given_input_format_is_taken() -> None:
    form = Format(8, True, 0.03, -7)
    assert quantize(GRAPH, CALIBRATION, Options(input_formats={"image": form})).by_name["image"].format == form


def test_pixels_are_taken_as_they_are() -> None:
    pixels = DataSet({"image": GENERATOR.integers(0, 200, (9, *SHAPE)).astype(np.uint8)})
    form = quantize(GRAPH, calibrate(GRAPH, pixels)).by_name["image"].format
    assert form == Format(8, False, 1.0)


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_changes_the_network(switch: str) -> None:
    activated = (Node("map", Clip(), ("image",)), Node("silu", Activation("silu"), ("map",)))
    graph = replace(GRAPH, nodes=(*GRAPH.nodes, *activated), outputs=(*GRAPH.outputs, "silu"))
    # Channel steps need some thousand values; 20 samples of 36 pixels are too few for them. With weights of
    # 8 bits nothing is left here that compensation gains on new samples.
    many = calibrate(graph, samples(graph, 60))
    on, off = (quantize(graph, many, replace(Options(weight_bits=2), **{switch: value})) for value in (True, False))
    assert on != off


@pytest.mark.parametrize(
    "data",
    [
        samples(GRAPH, 1),
        samples(GRAPH, 5, scale=0.0),
        samples(GRAPH, 5, scale=1e-20),
        samples(GRAPH, 5, scale=1e15),
        DataSet({"image": np.full((4, *SHAPE), -3.0, np.float32)}),
    ],
    ids=["one sample", "all zero", "tiny", "huge", "constant"],
)
@pytest.mark.parametrize(
    "chosen", [Options(), Options(bits=4, weight_bits=4), Options(bits=16), Options(per_channel=False)]
)
def test_odd_samples_are_no_obstacle(data: DataSet, chosen: Options) -> None:
    network = quantize(GRAPH, calibrate(GRAPH, data), chosen)
    found = network.run(network.quantize_inputs(data.samples))["softmax"]
    expected = GRAPH.run(data.samples)["softmax"]
    assert np.abs(network.by_name["softmax"].format.dequantize(found) - expected).max() < 0.25


def test_a_constant_output_is_met_exactly_enough() -> None:
    dead = chain(linear(GENERATOR, "conv", 3, "a", "image"), linear(GENERATOR, "conv", 4, "b", "a", (-inf, inf)))
    dead.by_name["b"].weights["kernel"][...] = 0
    data = samples(dead, 5)
    network = quantize(dead, calibrate(dead, data))
    found = network.by_name["b"].format.dequantize(network.run(network.quantize_inputs(data.samples))["b"])
    bias = dead.by_name["b"].weights["bias"]
    np.testing.assert_allclose(found[0, 0, 0], bias, atol=np.abs(bias).max() / 127)


def test_what_cannot_be_quantized_names_its_layer() -> None:
    broken = network()
    broken.by_name["b"].weights["kernel"][...] = np.nan
    with pytest.raises(GgdqError, match=r"^layer 'b': "):
        quantize(broken, CALIBRATION)


def test_unknown_bit_lengths_are_refused() -> None:
    with pytest.raises(GgdqError, match="17 bits"):
        quantize(GRAPH, CALIBRATION, Options(bits=17))
    with pytest.raises(GgdqError, match="1 bits"):
        quantize(GRAPH, CALIBRATION, Options(weight_bits=1))


def test_shares_between_layers_have_a_step_that_fits_them() -> None:
    """A hundred shares of about 1/100: a step of 1/256 would leave few levels."""
    random = np.random.default_rng(3)
    rows, columns = (random.normal(size=shape).astype(np.float32) for shape in ((12, 100), (100, 5)))
    nodes = (
        Node("scores", Dense(100), ("image",), {"kernel": rows / 8}),
        Node("shares", Softmax(), ("scores",)),
        Node("out", Dense(5), ("shares",), {"kernel": columns}),
    )
    graph = chain(*nodes, shape=(12,))
    x = random.normal(size=(24, 12)).astype(np.float32)
    calibration = calibrate(graph, DataSet({"image": x}))
    form = quantize(graph, calibration).by_name["shares"].format
    assert round(1 / float(form.step)) == pytest.approx(1 / float(form.step)) and 1 / form.step > 500
    assert Measurement(graph, calibration, DataSet({"image": x})).variant("", Options()).sqnr_db > 30
    last = chain(*nodes[:2], shape=(12,))
    assert quantize(last, calibrate(last, DataSet({"image": x}))).by_name["shares"].format.step == 2.0**-8
