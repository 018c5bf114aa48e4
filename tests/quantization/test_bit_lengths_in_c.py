"""Networks of 2 to 16 bits compute in C, on this computer, what the reference computes; narrow weights are packed."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from math import inf
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_networks import linear, networks, samples

from effort import drawn
from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.graph import Graph, Node, QuantizedGraph
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.shared.linear import pack, packed_bits
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    root = tmp_path_factory.mktemp("networks")
    return (root / str(i) for i in range(1_000_000))


def run_in_c(network: QuantizedGraph, inputs: np.ndarray, folder: Path) -> np.ndarray:
    """Outputs of the portable C for integer inputs (N, ...)."""
    folder.mkdir()
    for name, text in render_network(make_plan(network, CORES["host"]), "net").items():
        (folder / name).write_text(text)
    library = folder / "net.so"
    sources = map(str, folder.glob("*.c"))
    subprocess.run(["gcc", *STRICT, "-O1", "-shared", "-fPIC", *sources, "-o", str(library)], check=True)
    invoke = ctypes.CDLL(str(library)).ggdq_net_invoke
    output = network.by_name[network.outputs[0]]
    made = np.empty((len(inputs), *network.shapes[output.name]), output.format.dtype)
    for sample, result in zip(np.ascontiguousarray(inputs), made, strict=True):
        assert invoke(sample.ctypes.data_as(ctypes.c_void_p), result.ctypes.data_as(ctypes.c_void_p)) == 0
    return made


def extremes(network: QuantizedGraph) -> np.ndarray:
    name = network.inputs[0]
    form, shape = network.by_name[name].format, network.shapes[name]
    generator = np.random.default_rng(0)
    ends = generator.choice([form.low, form.high], (2, *shape))
    rest = generator.integers(form.low, form.high, (3, *shape), endpoint=True)
    return np.concatenate([np.full((1, *shape), form.low), np.full((1, *shape), form.high), ends, rest]).astype(
        form.dtype
    )


def check(graph: Graph, options: Options, folder: Path) -> None:
    data = samples(graph, 6)
    network = quantize(graph, calibrate(graph, data), options)
    inputs = np.concatenate([extremes(network), network.quantize_inputs(data.samples)["image"]])
    expected = network.run({"image": inputs})[network.outputs[0]]
    np.testing.assert_array_equal(run_in_c(network, inputs, folder), expected)


@settings(deadline=None, max_examples=drawn(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graph=networks(), bits=st.sampled_from([2, 4, 8, 16]), weights=st.sampled_from([2, 3, 4, 8, 12, 16]))
def test_c_equals_the_reference(graph: Graph, bits: int, weights: int, folders: Iterator[Path]) -> None:
    check(graph, Options(bits=bits, weight_bits=weights), next(folders))


@pytest.mark.parametrize("bits", [2, 4])
def test_packed_weights_of_groups_and_of_odd_counts(bits: int, folders: Iterator[Path]) -> None:
    generator = np.random.default_rng(1)
    operator = Conv2D(Size(3, 1), 6, padding=Padding(1, 1, 0, 0), groups=3, low=0.0)
    kernel = generator.normal(0, 0.5, (3, 1, 1, 6)).astype(np.float32)
    nodes = (
        Node("image", Input((5, 3, 3))),
        Node("grouped", operator, ("image",), {"kernel": kernel, "bias": np.ones(6, np.float32)}),
        linear(generator, "depthwise", 6, "depthwise", "grouped"),
        linear(generator, "dense", 6, "dense", "depthwise", (-inf, inf)),
    )
    check(Graph("odd", nodes, ("dense",)), Options(weight_bits=bits), next(folders))


@pytest.mark.parametrize(("bits", "share"), [(2, 1 / 4), (3, 1 / 2), (4, 1 / 2)])
def test_narrow_weights_take_their_share_of_the_flash(bits: int, share: float) -> None:
    generator = np.random.default_rng(1)
    graph = Graph("one", (Node("image", Input((4, 4, 8))), linear(generator, "conv", 8, "conv", "image")), ("conv",))
    network = quantize(graph, calibrate(graph, samples(graph)), Options(weight_bits=bits))
    for core in ("host", "cortex-m4"):
        weights = make_plan(network, CORES[core], "size").kernels["conv"].arrays["weights"]
        assert weights.nbytes == 3 * 3 * 8 * 4 * share


def test_goals_decide_between_packed_weights_and_fast_kernels() -> None:
    generator = np.random.default_rng(1)
    graph = Graph("one", (Node("image", Input((8, 8, 8))), linear(generator, "conv", 8, "conv", "image")), ("conv",))
    network = quantize(graph, calibrate(graph, samples(graph)), Options(weight_bits=4))
    names = {
        goal: make_plan(network, CORES["cortex-m4"], goal).kernels["conv"].name
        for goal in ("size", "balanced", "speed")
    }
    assert (names["size"], names["balanced"]) == ("portable", "portable")
    assert names["speed"] != "portable"


@given(st.lists(st.integers(-8, 7), min_size=1, max_size=40), st.sampled_from([2, 4]))
def test_packed_weights_are_read_back(values: list[int], bits: int) -> None:
    weights = np.clip(values, -(1 << (bits - 1)), (1 << (bits - 1)) - 1).astype(np.int8)
    packed, count = pack(weights, bits), 8 // bits
    assert len(packed) == -(-len(weights) // count)
    for i, weight in enumerate(weights):
        field = int(packed[i // count]) >> i % count * bits & (1 << bits) - 1
        assert field - 2 * (field & 1 << (bits - 1)) == weight


def test_bits_are_those_that_hold_every_weight() -> None:
    assert [packed_bits(np.array([low, 1], np.int8)) for low in (-2, -3, -8, -9)] == [2, 4, 4, 8]
    assert packed_bits(np.array([300], np.int16)) == 16
