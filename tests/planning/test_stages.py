"""Layers in strips: every part finds what it needs, nothing is computed twice; and strips are chosen where they pay."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import pytest

from effort import drawn
from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.calls import Call, calls
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.planning.arena import storage
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.planning.stages import Stage, Variant, make_schedule
from network.strip_networks import random_inputs, random_strips

Run = tuple[dict[str, np.ndarray], dict[str, list[np.ndarray]]]


def run_in_arena(plan: Plan, sample: dict[str, np.ndarray]) -> Run:
    """The plan's calls one after the other on a memory of bytes: outputs, and all that was computed of each layer.

    It knows nothing of stages but the calls: each computes its operator from what lies at its addresses.
    """
    graph = plan.graph
    memory = np.full(plan.arena.size, 0xA5, np.uint8)
    variants = {name: found for schedule in plan.schedules for name, found in schedule.variants.items()}
    holder = storage(graph)
    for name, values in sample.items():
        raw = np.frombuffer(values.tobytes(), np.uint8)
        memory[plan.arena.offsets[name] :][: len(raw)] = raw
    computed: dict[str, list[np.ndarray]] = {}
    for block in calls(plan):
        for turn in range(block.turns):
            for call in block.calls:
                places = [
                    plan.arena.offsets[place.buffer] + place.offset + turn * step
                    for place, step in zip(call.places, call.advance or (0,) * 9, strict=False)
                ]
                if call.variant is None:
                    to, source = places
                    memory[to : to + call.bytes] = memory[source : source + call.bytes].copy()
                    continue
                computed.setdefault(call.layer, []).append(_compute(graph, variants, call, places, memory))
    outputs = {}
    for name in graph.outputs:
        form, shape = graph.by_name[name].format, graph.shapes[name]
        begin = plan.arena.offsets[holder[name]]
        size = prod(shape) * form.storage_bits // 8
        outputs[name] = memory[begin : begin + size].copy().view(form.dtype).reshape(shape)
    return outputs, computed


def _compute(
    graph: QuantizedGraph, variants: dict[str, tuple[Variant, ...]], call: Call, places: list[int], memory: np.ndarray
) -> np.ndarray:
    node, formats = graph.by_name[call.layer], graph.input_formats(graph.by_name[call.layer])
    whole = (Variant(node.operator, tuple(graph.input_shapes(node)), graph.shapes[node.name]),)
    variant = variants.get(call.layer, whole)[call.variant or 0]
    inputs = []
    for place, shape, form in zip(places, variant.inputs, formats, strict=False):
        size = prod(shape) * form.storage_bits // 8
        assert place >= 0
        assert place + size <= len(memory)
        inputs.append(memory[place : place + size].copy().view(form.dtype).reshape(1, *shape))
    result = variant.operator.compute_integer(inputs, node.constants, formats, node.format)[0]
    assert result.shape == variant.output
    begin = places[call.output]
    assert begin + result.nbytes <= len(memory)
    memory[begin : begin + result.nbytes] = np.frombuffer(result.tobytes(), np.uint8)
    return result


def check_parts(seeds: range) -> int:
    """Runs random networks in random strips; how many stages there were."""
    found = 0
    for seed in seeds:
        network, stages = random_strips(seed)
        found += len(stages)
        plan = make_plan(network, CORES["cortex-m4"], stages=stages)
        sample = random_inputs(network, 1, seed)
        expected: dict[str, np.ndarray] = {}

        def keep(node: QuantizedNode, value: np.ndarray, expected: dict[str, np.ndarray] = expected) -> np.ndarray:
            expected[node.name] = value[0]
            return value

        network.run(sample, keep)
        outputs, computed = run_in_arena(plan, {name: x[0] for name, x in sample.items()})
        assert set(computed) == {node.name for node in network.nodes if node.inputs}
        values = [*outputs.items(), *((name, np.concatenate(rows)) for name, rows in computed.items())]
        for name, value in values:
            np.testing.assert_array_equal(value, expected[name], f"seed {seed}, {stages}: {name}")
    return found


def test_parts_find_what_they_need_and_nothing_is_computed_twice() -> None:
    assert check_parts(range(drawn(40))) > 0.75 * drawn(40)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(100, 600, 20))
def test_parts_of_more_networks(first: int) -> None:
    assert check_parts(range(first, first + 20)) > 10


def test_what_balanced_chooses(planned: Callable[..., Plan]) -> None:
    """MobileNet's arena is fullest where the first pointwise layer doubles the channels: that map is never whole."""
    plan = planned("mobilenet")
    (schedule,) = plan.schedules
    assert "pointwise_0" in schedule.inner
    assert schedule.inner["pointwise_0"] <= 12  # rows of 48
    assert plan.arena.size < 30_000
    whole = make_plan(plan.graph, plan.core, stages=())
    assert whole.arena.size > 38_000
    spent = [sum(kernel.instructions for kernel in one.kernels.values()) for one in (whole, plan)]
    assert spent[1] <= 1.02 * spent[0]


def test_where_strips_are_not_worth_it(planned: Callable[..., Plan]) -> None:
    assert planned("ds_cnn").schedules == ()  # in place already
    assert planned("mobilenet", "cortex-m4", "speed").schedules == ()
    assert planned("autoencoder").schedules == ()


def test_a_limit_asks_for_strips_whatever_the_goal(planned: Callable[..., Plan]) -> None:
    free = planned("mobilenet", "cortex-m4", "speed")
    tight = make_plan(free.graph, free.core, "speed", arena_limit=30_000)
    assert tight.arena.size <= 30_000 < free.arena.size
    assert tight.schedules


def test_size_takes_the_smallest_arena(planned: Callable[..., Plan]) -> None:
    plan = planned("resnet8", "cortex-m4", "size")
    assert plan.arena.size < 24_000  # two maps of the first stage have 32 768
    assert plan.schedules


def test_inner_maps_hold_the_rows_that_windows_see(planned: Callable[..., Plan]) -> None:
    graph = planned("mobilenet").graph
    schedule = make_schedule(graph, Stage("conv", "depthwise_1", 2))
    assert schedule is not None
    assert schedule.inner == {"conv": 6, "depthwise_0": 5, "pointwise_0": 5}
    assert schedule.lasting == {"conv", "pointwise_0"}
    assert {name: len(found) for name, found in schedule.variants.items()} == {
        "conv": 3, "depthwise_0": 3, "pointwise_0": 3, "depthwise_1": 2,
    }  # fmt: skip


def test_layers_that_do_not_work_by_rows_are_refused(planned: Callable[..., Plan]) -> None:
    graph = planned("mobilenet").graph
    assert make_schedule(graph, Stage("pointwise_12", "pool", 1)) is not None
    assert make_schedule(graph, Stage("pool", "dense", 1)) is None
    with pytest.raises(GgdqError, match="cannot run in strips"):
        make_plan(graph, CORES["cortex-m4"], stages=[Stage("pool", "dense", 1)])
