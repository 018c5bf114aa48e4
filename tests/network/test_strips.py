"""Networks in strips compute what the reference computes, to the bit, layer by layer, here and on a board's core."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.planning.search import make_plan
from network.native_library import run_native
from network.strip_networks import random_inputs, random_strips, together
from operators.layers_in_c import compiled, run

BATCHES = [range(300, 310)]
MORE = [range(first, first + 12) for first in range(1000, 1480, 12)]


def _reference(network, inputs):
    values = {}

    def keep(node, value):
        values[node.name] = value
        return value

    network.run(inputs, keep)
    return values


def check_native(seeds: range) -> None:
    network, stages = together([random_strips(seed) for seed in seeds])
    assert len(stages) >= len(seeds) // 2
    inputs = random_inputs(network, 3)
    expected = _reference(network, inputs)
    outputs, layers = run_native(network, inputs, stages=stages)
    for i in range(3):
        for name in network.outputs:
            np.testing.assert_array_equal(outputs[i][name], expected[name][i], name)
        for name, value in layers[i].items():
            np.testing.assert_array_equal(value, expected[name][i], name)
        assert set(layers[i]) == {node.name for node in network.nodes if node.inputs}


def check_emulated(seeds: range, core: str) -> set[str]:
    network, stages = together([random_strips(seed) for seed in seeds])
    plan = make_plan(network, CORES[core], stages=stages)
    machine = compiled(plan)
    inputs = random_inputs(network, 2)
    expected = _reference(network, inputs)
    for i in range(2):
        outputs = run(machine, network, {name: x[i] for name, x in inputs.items()})
        for name, value in outputs.items():
            np.testing.assert_array_equal(value, expected[name][i], name)
    in_strips = {name for schedule in plan.schedules for name in schedule.nodes}
    return {f"{network.by_name[name].operator.name} {plan.kernels[name].name}" for name in in_strips}


@pytest.mark.parametrize("seeds", BATCHES)
def test_strips_equal_the_reference_on_this_computer(seeds: range) -> None:
    check_native(seeds)


@pytest.mark.parametrize("seeds", BATCHES)
def test_strips_equal_the_reference_on_a_cortex_m4(seeds: range) -> None:
    used = check_emulated(seeds, "cortex-m4")
    assert {"conv2d five_pixels", "depthwise_conv2d planes"} <= used


@pytest.mark.nightly
@pytest.mark.parametrize("seeds", MORE)
def test_more_strips_equal_the_reference(seeds: range) -> None:
    check_native(seeds)
    for core in ("cortex-m0plus", "cortex-m4"):
        check_emulated(seeds, core)
