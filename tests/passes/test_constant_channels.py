"""Channels that never change are removed; the outputs stay the same for every input."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu.data import DataSet
from ggdq_mcu.describe.description import RemovedInfo, describe_network
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.passes.constant_channels import remove_constant_channels
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import _integers, quantize
from ggdq_mcu.storage import load, save

RELU = {"low": 0.0}
PLAIN = Options(compensation=False, headroom=False, fit_range=False, adaptive_rounding=False)
SAME = Padding(1, 1, 1, 1)


def network(seed: int, dead: float, shift: float, kinds: tuple[str, ...]) -> Graph:
    """A network (6, 6, 3) of ``kinds`` of layers, where biases make about ``dead`` of the channels constant."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int, channels: int) -> dict[str, np.ndarray]:
        bias = np.where(rng.random(channels) < dead, -40.0, rng.normal(size=channels))
        constant = rng.random(channels) < dead / 2  # by weights of nothing
        kernel = rng.normal(size=shape)
        matrix = kernel.reshape(-1, channels)
        matrix[:, constant] = 0
        bias[constant] = shift
        return {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}

    nodes = [Node("input", Input((6, 6, 3)))]
    nodes.append(
        Node("first", Conv2D(Size(3, 3), 12, padding=SAME, **RELU), ("input",), weights(3, 3, 3, 12, channels=12))
    )
    for number, kind in enumerate(kinds):
        last, name = nodes[-1].name, f"{kind}{number}"
        channels = Graph("net", tuple(nodes), (last,)).shapes[last][-1]
        if kind == "conv":
            made = Node(
                name, Conv2D(Size(3, 3), 12, padding=SAME, **RELU), (last,), weights(3, 3, channels, 12, channels=12)
            )
        elif kind == "point":
            made = Node(name, Conv2D(Size(1, 1), 12, **RELU), (last,), weights(1, 1, channels, 12, channels=12))
        elif kind == "depthwise":
            own = weights(3, 3, channels, 1, channels=channels)
            made = Node(name, DepthwiseConv2D(Size(3, 3), padding=SAME, **RELU), (last,), own)
        elif kind == "add":
            other = Node(
                f"{name}_other",
                Conv2D(Size(1, 1), channels),
                (last,),
                weights(1, 1, channels, channels, channels=channels),
            )
            nodes.append(other)
            made = Node(name, Add(signs=(1, -1)), (last, other.name))
        elif kind == "join":
            if channels == 24:
                continue
            other = Node(f"{name}_other", Conv2D(Size(1, 1), 12, **RELU), (last,), weights(1, 1, 12, 12, channels=12))
            nodes.append(other)
            made = Node(name, Concatenate(-1), (last, other.name))
        elif kind == "max":
            made = Node(name, MaxPool2D(Size(3, 3), Size(1, 1), SAME), (last,))
        elif kind == "average":
            made = Node(name, AveragePool2D(Size(3, 3), Size(1, 1), SAME), (last,))
        elif kind == "zeros":
            made = Node(name, ZeroPadding2D(Padding(0, 1, 1, 0)), (last,))
        else:
            made = Node(name, Activation("tanh"), (last,))
        nodes.append(made if kind != "join" else replace(made, name=f"join{number}"))
    graph = Graph("net", tuple(nodes), (nodes[-1].name,))
    shape = graph.shapes[nodes[-1].name]
    size = int(np.prod(shape))
    nodes.append(Node("flat", Reshape((size,)), (nodes[-1].name,)))
    nodes.append(Node("logits", Dense(5), ("flat",), weights(size, 5, channels=5)))
    return Graph("net", tuple(nodes), ("logits",))


KINDS = ("conv", "point", "depthwise", "add", "join", "max", "average", "zeros", "tanh")


@settings(max_examples=drawn(12), deadline=None)
@given(
    seed=st.integers(0, 2**16),
    dead=st.sampled_from([0.0, 0.3, 0.8]),
    shift=st.sampled_from([0.0, 1.0, -1.0]),
    kinds=st.lists(st.sampled_from(KINDS), max_size=5),
    channel_steps=st.booleans(),
    bits=st.sampled_from([8, 16]),
)
def test_outputs_are_equal_for_random_and_extreme_inputs(
    seed: int, dead: float, shift: float, kinds: list[str], channel_steps: bool, bits: int
) -> None:
    graph = network(seed, dead, shift, tuple(kinds))
    rng = np.random.default_rng(seed)
    samples = rng.normal(size=(8, 6, 6, 3)).astype(np.float32)
    calibration = calibrate(graph, DataSet({"input": samples}))
    before = _integers(graph, calibration, replace(PLAIN, channel_steps=channel_steps, bits=bits))
    after = remove_constant_channels(before)
    format_ = before.by_name["input"].format
    inputs = rng.integers(format_.low, format_.high + 1, (6, 6, 6, 3))
    inputs[0], inputs[1] = format_.low, format_.high
    inputs = inputs.astype(format_.dtype)
    layers: dict[str, np.ndarray] = {}
    expected = before.run({"input": inputs}, lambda node, value: layers.setdefault(node.name, value))
    found = after.run(
        {"input": inputs},
        lambda node, value: np.testing.assert_array_equal(value, node.of_float(layers[node.name])) or value,
    )
    np.testing.assert_array_equal(found["logits"], expected["logits"])


def test_half_of_the_channels_are_found_and_their_weights_go() -> None:
    rng = np.random.default_rng(0)
    bias = np.where(np.arange(16) % 2, -100.0, 0.0)
    kernel = rng.normal(size=(1, 1, 3, 16))
    nodes = (
        Node("input", Input((4, 4, 3))),
        Node("conv", Conv2D(Size(1, 1), 16, **RELU), ("input",), {"kernel": kernel, "bias": bias}),
        Node(
            "depthwise",
            DepthwiseConv2D(Size(3, 3), padding=SAME),
            ("conv",),
            {"kernel": rng.normal(size=(3, 3, 16, 1))},
        ),
        Node("last", Conv2D(Size(4, 4), 2), ("depthwise",), {"kernel": rng.normal(size=(4, 4, 16, 2))}),
    )
    graph = Graph("net", nodes, ("last",))
    made = quantize(graph, calibrate(graph, DataSet({"input": rng.normal(size=(8, 4, 4, 3)).astype(np.float32)})))
    np.testing.assert_array_equal(made.by_name["conv"].channels, np.arange(0, 16, 2))
    np.testing.assert_array_equal(made.by_name["depthwise"].channels, np.arange(0, 16, 2))
    assert made.by_name["last"].channels is None
    assert made.by_name["last"].constants["kernel"].shape == (4, 4, 8, 2)
    removed = describe_network(made, graph, "ggd-tuned", "").removed
    assert removed == RemovedInfo(16, 34, 16 * 3 * 16 + 16 * 9 * 16 + 16 * 16 * 2)
    file = BytesIO()
    save(made, file)
    assert load(file) == made


def test_a_padded_layer_keeps_a_constant_that_is_not_its_padding() -> None:
    """Its border sees the padding, its middle the constant: the channel cannot go into the bias."""
    source = Format(8, True, 1.0)
    one, zero = np.array([64]), np.zeros(1, np.int64)
    made = {
        "kernel": np.zeros((1, 1, 4, 4), np.int8),
        "bias": np.array([5, 5, 5, 5]),
        "shift": np.zeros(4, np.int64),
        "wide": zero[0],
    }
    reader = {"kernel": np.ones((3, 3, 4, 1), np.int8), "bias": one, "shift": zero, "wide": zero[0]}
    nodes = (
        QuantizedNode("input", Input((4, 4, 4)), (), source),
        QuantizedNode("five", Conv2D(Size(1, 1), 4), ("input",), source, made),
        QuantizedNode("padded", Conv2D(Size(3, 3), 1, padding=SAME), ("five",), source, reader),
    )
    network = QuantizedGraph("net", nodes, ("padded",))
    after = remove_constant_channels(network)
    assert after.by_name["padded"].operator == network.by_name["padded"].operator
    inputs = {"input": np.zeros((1, 4, 4, 4), np.int8)}
    np.testing.assert_array_equal(after.run(inputs)["padded"], network.run(inputs)["padded"])


@pytest.mark.parametrize("most", [1, 5])
def test_a_network_without_a_live_channel_still_builds(most: int) -> None:
    nodes = (
        Node("input", Input((most,))),
        Node("dead", Dense(8, **RELU), ("input",), {"kernel": np.zeros((most, 8)), "bias": np.full(8, -1.0)}),
        Node("last", Dense(3), ("dead",), {"kernel": np.ones((8, 3))}),
    )
    graph = Graph("net", nodes, ("last",))
    made = quantize(graph, calibrate(graph, DataSet({"input": np.ones((4, most), np.float32)})))
    assert made.shapes["dead"] == (4,)


def test_channels_that_no_sample_changes_are_removed_only_when_asked() -> None:
    """A channel that only a large input makes active: the bounds keep it, the samples do not."""
    rng = np.random.default_rng(0)
    bias = np.where(np.arange(8) < 4, 0.0, -6.0)  # the second half needs a sum above 6
    nodes = (
        Node("input", Input((6, 6, 3))),
        Node("conv", Conv2D(Size(1, 1), 8, **RELU), ("input",), {"kernel": np.ones((1, 1, 3, 8)), "bias": bias}),
        Node("last", Conv2D(Size(6, 6), 2), ("conv",), {"kernel": rng.normal(size=(6, 6, 8, 2))}),
    )
    graph = Graph("net", nodes, ("last",))
    samples = rng.uniform(-1, 1, size=(20, 6, 6, 3)).astype(np.float32)
    samples[0, 0, 0] = 4, -4, 0
    calibration = calibrate(graph, DataSet({"input": samples}))
    proved, pruned = (quantize(graph, calibration, replace(PLAIN, prune_dead=asked)) for asked in (False, True))
    assert proved.by_name["conv"].channels is None
    np.testing.assert_array_equal(pruned.by_name["conv"].channels, np.arange(4))
    inputs = pruned.quantize_inputs({"input": samples})
    np.testing.assert_array_equal(pruned.run(inputs)["last"], proved.run(inputs)["last"])


def test_pruning_needs_samples() -> None:
    graph = network(0, 0.0, 0.0, ())
    calibration = calibrate(graph, DataSet({"input": np.ones((2, 6, 6, 3), np.float32)}))
    with pytest.raises(GgdqError, match="needs calibration samples"):
        quantize(graph, replace(calibration, samples={}), Options(prune_dead=True))
