"""Channel steps keep the function, and are there only where the algebra allows them."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import CHANNELS, SHAPE, chain, linear, networks, samples

from effort import drawn
from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.operators.shared.rescale import step_ratio
from ggdq_mcu.quantization import channel_steps
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.channel_steps import choose_profiles, limited, profile_groups
from ggdq_mcu.quantization.formats import FormatChoice
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

GENERATOR = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def few_values_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_steps, "_FEWEST_VALUES", 0)


def in_steps(graph: Graph, formats: dict[str, Format], image: np.ndarray) -> np.ndarray:
    """The output in real units of the network computed on x / step, with steps folded into weights, nothing rounded."""
    values = {"image": image / np.asarray(formats["image"].step)}
    for node in graph.nodes[1:]:
        operator, inputs = node.operator, [values[name] for name in node.inputs]
        sources, output = [formats[name] for name in node.inputs], formats[node.name]
        low, high = operator.low / np.asarray(output.step), operator.high / np.asarray(output.step)
        if isinstance(operator, Linear):
            kernel, bias = operator.folded(node.weights, sources[0], output)
            values[node.name] = np.clip(operator.accumulate(inputs[0], kernel, 0.0) + bias, low, high)
        elif operator.keeps_format:
            values[node.name] = operator.compute(inputs, {})
        elif isinstance(operator, AveragePool2D) and not operator.keeps_profile:
            ratio = np.asarray(sources[0].step) / np.asarray(output.step)
            values[node.name] = np.clip(operator.compute(inputs, {}) * ratio, low, high)
        else:
            ratios = [step_ratio(source, output) for source in sources]
            unclipped = replace(operator, low=-inf, high=inf)
            scaled = [ratio * value for ratio, value in zip(ratios, inputs, strict=True)]
            values[node.name] = np.clip(unclipped.compute(scaled, {}), low, high)
    return values[graph.outputs[0]] * np.asarray(formats[graph.outputs[0]].step)


@settings(deadline=None, max_examples=drawn(60))
@given(networks(with_head=False), st.sampled_from([4, 8]))
def test_folded_steps_keep_the_function_where_nothing_is_rounded(graph: Graph, bits: int) -> None:
    data = samples(graph)
    formats = {n.name: n.format for n in quantize(graph, calibrate(graph, data), Options(bits=bits)).nodes}
    image = np.random.default_rng(1).normal(0, 3, (5, *SHAPE))
    expected = graph.run({"image": image})[graph.outputs[0]]
    found = in_steps(graph, formats, image)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1.0, np.abs(expected).max()))


@settings(deadline=None, max_examples=drawn(30))
@given(networks())
def test_sixteen_bits_with_channel_steps_are_the_float_network(graph: Graph) -> None:
    data = samples(graph, 20)
    plain = Options(bits=16, weight_bits=16, compensation=False)
    network = quantize(graph, calibrate(graph, data), plain)
    name = graph.outputs[0]
    expected = graph.run(data.samples)[name]
    found = network.by_name[name].format.dequantize(network.run(network.quantize_inputs(data.samples))[name])
    # Each layer adds half a unit of a 15-bit number and a few of its weights'; six layers of them stay far below this.
    assert np.abs(found - expected).max() <= 2e-2 * max(1.0, np.abs(expected).max())


def group_of(graph: Graph, name: str) -> set[str]:
    return next((set(group) for group in profile_groups(graph) if name in group), set())


def conv(name: str, source: str, channels: int = CHANNELS, clip=(0.0, inf)) -> Node:
    return linear(GENERATOR, "conv", channels, name, source, clip)


def test_a_feature_map_between_two_linear_layers_has_steps_of_its_own() -> None:
    graph = chain(conv("a", "image", 3), conv("b", "a"))
    assert profile_groups(graph) == [["a"]]


def test_inputs_and_outputs_of_the_network_have_one_step() -> None:
    graph = chain(conv("a", "image", 3), conv("b", "a"), outputs=("a", "b"))
    assert profile_groups(graph) == []


@pytest.mark.parametrize("clip", [(0.0, inf), (0.0, 6.0), (-1.0, 1.0)])
def test_any_clip_of_a_linear_layer_allows_steps(clip: tuple[float, float]) -> None:
    graph = chain(conv("a", "image", 3, clip), conv("b", "a"))
    assert group_of(graph, "a") == {"a"}


def test_what_is_added_shares_the_proportions() -> None:
    graph = chain(conv("a", "image", 3), conv("b", "a"), Node("sum", Add(low=0.0), ("a", "b")), conv("c", "sum"))
    assert group_of(graph, "sum") == {"a", "b", "sum"}


def test_an_addition_with_an_upper_clip_has_one_step() -> None:
    graph = chain(
        conv("a", "image", 3), conv("b", "a"), Node("sum", Add(low=0.0, high=6.0), ("a", "b")), conv("c", "sum")
    )
    assert group_of(graph, "sum") == group_of(graph, "a") == set()


def test_what_is_added_to_the_input_has_one_step() -> None:
    graph = chain(conv("a", "image", CHANNELS), Node("sum", Add(), ("a", "image")), conv("b", "sum"), shape=(6, 6, 4))
    assert group_of(graph, "a") == set()


def test_max_pooling_hands_steps_on_and_average_pooling_chooses_anew() -> None:
    size = Size(2, 2)
    graph = chain(
        conv("a", "image", 3), Node("max", MaxPool2D(size, size), ("a",)), conv("b", "max"),
        Node("mean", AveragePool2D(size, size), ("b",)), conv("c", "mean"),
    )  # fmt: skip
    assert group_of(graph, "a") == {"a", "max"}
    assert group_of(graph, "b") == {"b"}
    assert group_of(graph, "mean") == {"mean"}


def test_average_pooling_with_padding_keeps_the_proportions() -> None:
    pool = AveragePool2D(Size(2, 2), Size(2, 2), Padding(0, 1, 0, 1))
    graph = chain(conv("a", "image", 3), Node("mean", pool, ("a",)), conv("b", "mean"))
    assert group_of(graph, "a") == {"a", "mean"}


def test_flatten_repeats_the_steps_for_every_pixel() -> None:
    flat = Node("flat", Reshape((6 * 6 * CHANNELS,)), ("a",))
    graph = chain(conv("a", "image", 3), flat, linear(GENERATOR, "dense", 144, "dense", "flat"))
    assert group_of(graph, "a") == {"a", "flat"}
    network = quantize(graph, calibrate(graph, samples(graph)))
    step = np.asarray(network.by_name["a"].format.step)
    np.testing.assert_array_equal(network.by_name["flat"].format.step, np.tile(step, 36))


def test_a_reshape_that_mixes_channels_allows_one_step_only() -> None:
    graph = chain(conv("a", "image", 3), Node("other", Reshape((24, 2, 3)), ("a",)), conv("b", "other", 3), shape=SHAPE)
    assert group_of(graph, "a") == set()


def test_a_table_reads_one_step_only() -> None:
    graph = chain(conv("a", "image", 3), Node("table", Activation("tanh"), ("a",)), conv("b", "table"))
    assert profile_groups(graph) == []


def test_profiles_have_the_geometric_mean_one_and_follow_the_channels() -> None:
    graph = chain(conv("a", "image", 3), conv("b", "a"))
    graph.by_name["a"].weights["kernel"][..., 0] *= 50
    calibration = calibrate(graph, samples(graph, 30))
    profile = choose_profiles(graph, calibration, Options())["a"]
    assert np.isclose(np.log(profile).mean(), 0)
    assert profile.argmax() == 0


def test_silent_channels_get_a_step_between_those_of_the_others() -> None:
    graph = chain(conv("a", "image", 3), conv("b", "a"))
    graph.by_name["a"].weights["kernel"][..., 1] = 0
    graph.by_name["a"].weights["bias"][1] = -1
    calibration = calibrate(graph, samples(graph, 30))
    profile = choose_profiles(graph, calibration, Options())["a"]
    others = np.delete(profile, 1)
    assert others.min() <= profile[1] <= others.max()


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_the_largest_integer_never_exceeds_an_upper_clip(bits: int) -> None:
    node = conv("a", "image", 3, (0.0, 6.0))
    step = limited(node, np.array([1e-3, 0.1, 50.0]), bits)
    assert np.all(step * Format(bits, bits > 8, 1.0).high <= 6 * (1 + 1e-12))


def test_the_step_of_a_tensor_is_in_proportion_to_its_profile() -> None:
    graph = chain(conv("a", "image", 3), conv("b", "a"))
    calibration = calibrate(graph, samples(graph))
    profile = np.array([0.5, 1.0, 2.0, 1.0])
    choice = FormatChoice(graph, calibration, Options(), {"a": profile})
    step = choice.format_of(graph.by_name["a"], [Format(8, True, 1.0)]).step
    np.testing.assert_allclose(step / profile, step[1])


def test_an_upper_clip_does_not_shorten_single_steps_of_what_is_added() -> None:
    """Found by the random networks: the addition's inputs were no longer in proportion."""
    first = conv("a", "image", 3, (0.0, 6.0))
    first.weights["kernel"][..., 0] *= 100
    graph = chain(first, conv("b", "a"), Node("sum", Add(low=0.0), ("a", "b")), conv("c", "sum"))
    formats = quantize(graph, calibrate(graph, samples(graph, 30)), Options(bits=4)).by_name
    ratio = np.asarray(formats["a"].format.step) / np.asarray(formats["sum"].format.step)
    np.testing.assert_allclose(ratio, ratio[0])
