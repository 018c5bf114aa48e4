"""What each tensor's bits are worth at the outputs, on the example network."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from ggdq_mcu.data import load_data
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import Calibration, calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.sensitivity import Sensitivity, measure, own_formats, sketch, with_bits

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def known() -> tuple[Graph, Calibration, Sensitivity]:
    graph = optimize(load(EXAMPLES / "digits.h5"))
    calibration = calibrate(graph, load_data(EXAMPLES / "digits.npz", graph).first(40))
    return graph, calibration, measure(graph, calibration, Options(), (2, 4, 8), (4, 8, 16))


def test_every_tensor_is_there_and_more_bits_make_less_noise(known: tuple[Graph, Calibration, Sensitivity]) -> None:
    graph, calibration, found = known
    assert set(found.weights) == {node.name for node in graph.nodes if isinstance(node.operator, Linear)}
    assert set(found.maps) == set(own_formats(graph, calibration))
    for noise in (*found.weights.values(), *found.maps.values()):
        values = [noise[bits] for bits in sorted(noise)]
        # Two more bits are 12 dB in theory; half of that allows for what a few samples tell.
        assert all(more > 4 * less > 0 for more, less in pairwise(values))


def test_a_sketch_has_the_formats_of_the_network(known: tuple[Graph, Calibration, Sensitivity]) -> None:
    graph, calibration, _ = known
    maps = {name: 4 + 4 * (i % 2) for i, name in enumerate(own_formats(graph, calibration))}
    weights = {node.name: 4 for node in graph.nodes if isinstance(node.operator, Linear)}
    network = sketch(graph, calibration, with_bits(Options(), weights, maps))
    assert {name: network.by_name[name].format.bits for name in maps} == maps
    assert all(abs(network.by_name[name].constants["kernel"]).max() <= 8 for name in weights)
