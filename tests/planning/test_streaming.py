"""A stream gives, at every step, what the whole network gives on the window; in the reference and in C."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.data import DataSet
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node, QuantizedGraph
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.step import StepGraph, Stream
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.up_sampling2d import UpSampling2D
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.planning.stream_plan import make_stream_plan
from ggdq_mcu.planning.streaming import step_graph
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from network.random_streams import streams

COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}
PLAIN = Options(scheme="minmax", fit_range=False, adaptive_rounding=False, compensation=False)
OPTIONS = st.builds(replace, st.just(PLAIN), bits=st.sampled_from([8, 8, 8, 16]), channel_steps=st.booleans())


def quantized(graph: Graph, samples: np.ndarray, options: Options = PLAIN) -> QuantizedGraph:
    return quantize(graph, calibrate(graph, DataSet({"input": samples})), options)


def step_of(network: QuantizedGraph, times: int, keep: bool) -> StepGraph:
    """A step with a multiple of the least hop; networks whose hop would be longer than their window are no case."""
    try:
        least = step_graph(network, None, keep).hop
        return step_graph(network, least * times, keep)
    except GgdqError as error:
        assume("longer than the window" not in str(error))
        raise


def windows(network: QuantizedGraph, step: StepGraph, frames: np.ndarray) -> Iterator[tuple[int, list[np.ndarray]]]:
    """For every step that ends a window the number of its last frame, and the whole network's outputs."""
    ends = range(step.window, len(frames) + 1, step.hop)
    batch = np.stack([frames[end - step.window : end] for end in ends])
    outputs = network.run({"input": batch})
    for i, end in enumerate(ends):
        yield end - 1, [outputs[name][i] for name in network.outputs]


def random_frames(network: QuantizedGraph, count: int, seed: int) -> np.ndarray:
    """Random integers, every fifth frame of extremes."""
    format_, shape = network.by_name["input"].format, network.shapes["input"][1:]
    generator = np.random.default_rng(seed)
    frames = generator.integers(format_.low, format_.high + 1, (count, *shape))
    frames[::5] = generator.choice([format_.low, format_.high], (len(frames[::5]), *shape))
    return frames.astype(format_.dtype)


def run_c(plan: Plan, frames: np.ndarray, flags: tuple[str, ...] = ("-O1",)) -> list[list[np.ndarray] | None]:
    """What the generated C returns for each frame."""
    assert isinstance(plan.graph, StepGraph)
    whole = plan.graph.whole
    with TemporaryDirectory(prefix="ggdq-test-") as folder:
        for name, text in render_network(plan, "stream").items():
            (Path(folder) / name).write_text(text)
        library = Path(folder) / "network.so"
        line = ["cc", *STRICT, *flags, "-fPIC", "-shared", *sorted(map(str, Path(folder).glob("*.c")))]
        done = subprocess.run([*line, "-o", str(library)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        c = ctypes.CDLL(str(library))
        outputs = [np.zeros(whole.shapes[name], whole.by_name[name].format.dtype) for name in whole.outputs]
        pointers = [output.ctypes.data_as(ctypes.c_void_p) for output in outputs]
        assert c.ggdq_stream_push(None, *pointers) == -1
        results: list[list[np.ndarray] | None] = []
        for frame in frames:
            status = c.ggdq_stream_push(np.ascontiguousarray(frame).ctypes.data_as(ctypes.c_void_p), *pointers)
            assert status in (0, 1)
            results.append([output.copy() for output in outputs] if status else None)
        c.ggdq_stream_reset()
        for number, frame in enumerate(frames[: plan.graph.window]):  # a new stream does not know the old one
            status = c.ggdq_stream_push(np.ascontiguousarray(frame).ctypes.data_as(ctypes.c_void_p), *pointers)
            assert status == (number == plan.graph.window - 1)
        first = results[plan.graph.window - 1]
        assert first is not None
        assert all(np.array_equal(a, b) for a, b in zip(outputs, first, strict=True))
    return results


def check(network: QuantizedGraph, step: StepGraph, results: list[list[np.ndarray] | None], frames: np.ndarray) -> None:
    expected = dict(windows(network, step, frames))
    assert [i for i, result in enumerate(results) if result is not None] == list(expected)
    for number, outputs in expected.items():
        result = results[number]
        assert result is not None
        for name, output, actual in zip(network.outputs, outputs, result, strict=True):
            np.testing.assert_array_equal(actual, output, f"{name} after frame {number}")


def run_reference(step: StepGraph, frames: np.ndarray) -> list[list[np.ndarray] | None]:
    stream = Stream(step)
    pushed = [stream.push({"input": frame}) for frame in frames]
    return [None if one is None else [one[name] for name in step.whole.outputs] for one in pushed]


def check_reference(network: QuantizedGraph, times: int, keep: bool, seed: int) -> None:
    step = step_of(network, times, keep)
    frames = random_frames(network, 3 * step.window + 1, seed)
    check(network, step, run_reference(step, frames), frames)


@settings(max_examples=drawn(100), **COMMON)
@given(streams(), OPTIONS, st.integers(1, 3), st.booleans(), st.integers(0, 2**20))
def test_the_reference_of_a_stream_equals_whole_windows(
    network: tuple[Graph, np.ndarray], options: Options, times: int, keep: bool, seed: int
) -> None:
    check_reference(quantized(*network, options), times, keep, seed)


@settings(max_examples=drawn(20), **COMMON)
@given(streams(), OPTIONS, st.integers(1, 2), st.booleans(), st.sampled_from(["speed", "size"]), st.integers(0, 2**20))
def test_c_equals_whole_windows(
    network: tuple[Graph, np.ndarray], options: Options, times: int, keep: bool, goal: str, seed: int
) -> None:
    graph = quantized(*network, options)
    step = step_of(graph, times, keep)
    frames = random_frames(graph, 3 * step.window + 1, seed)
    flags = ("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all") if seed % 4 == 0 else ("-O1",)
    check(graph, step, run_c(make_plan(step, CORES["host"], goal), frames, flags), frames)


def sequence(*operators: Operator, shape: tuple[int, ...] = (1, 20, 4)) -> Graph:
    """Operators one after the other on a sequence; convolutions have weights of their own."""
    generator = np.random.default_rng(3)
    nodes = [Node("input", Input(shape[1:] if shape[0] == 1 else shape))]
    if shape[0] == 1:
        nodes.append(Node("image", Reshape(shape), ("input",)))
    for index, operator in enumerate(operators):
        weights = {}
        if isinstance(operator, Conv2D):
            kernel = (*operator.kernel_size, shape[-1], operator.filters)
            weights = {"kernel": generator.normal(0, 0.5, kernel).astype(np.float32)}
        nodes.append(Node(f"layer_{index}", operator, (nodes[-1].name,), weights))
    return Graph("sequence", tuple(nodes), (nodes[-1].name,))


def of_sequence(*operators: Operator, shape: tuple[int, ...] = (1, 20, 4)) -> QuantizedGraph:
    graph = sequence(*operators, shape=shape)
    inputs = graph.shapes["input"]
    return quantized(graph, np.random.default_rng(0).normal(0, 1, (4, *inputs)).astype(np.float32))


def conv(dilation: int = 1, before: int = 0, after: int = 0, stride: int = 1) -> Conv2D:
    padding = Padding(left=before, right=after)
    return Conv2D(Size(1, 3), 4, Size(1, stride), padding, Size(1, dilation))


def shapes_of(step: StepGraph, layer: str) -> list[int]:
    return [step.shapes[node.name][1] for node in step.nodes if step.layer_of.get(node.name) == layer]


def last_row(frames: int) -> Slice:
    return Slice((0, frames - 1, 0), (1, 1, 4))


def test_a_causal_network_computes_one_row_a_frame_and_keeps_what_its_windows_span() -> None:
    step = step_graph(of_sequence(conv(1, 2), conv(4, 8), last_row(20)))
    assert (step.window, step.hop) == (20, 1)
    assert shapes_of(step, "layer_0") == shapes_of(step, "layer_1") == [1]
    assert {ring.name: ring.rows for ring in step.rings} == {"input": 3, "layer_0": 9}
    kinds = [type(step.by_name[name].operator).__name__ for name in ("layer_0", "layer_1")]
    assert kinds == ["Dense", "Dense"]


def test_borders_of_same_padding_are_computed_anew() -> None:
    mean = AveragePool2D(Size(1, 20), Size(1, 20))
    kept = step_graph(of_sequence(conv(1, 1, 1), conv(1, 1, 1), mean), keep=True)
    assert [shapes_of(kept, f"layer_{i}") for i in range(2)] == [[1, 2], [2, 3]]
    assert {ring.name: ring.rows for ring in kept.rings} == {"input": 20, "layer_0": 20, "layer_1": 20}
    anew = step_graph(of_sequence(conv(1, 1, 1), conv(1, 1, 1), mean), keep=False)
    assert [shapes_of(anew, f"layer_{i}") for i in range(2)] == [[3, 2], [2, 3]]
    assert {ring.name: ring.rows for ring in anew.rings} == {"input": 20, "layer_0": 4, "layer_1": 20}


def test_strides_make_the_hop() -> None:
    network = of_sequence(conv(1, 0, 0, 2), conv(1, 0, 0, 3))
    assert step_graph(network).hop == 6
    assert step_graph(network, 12).hop == 12
    with pytest.raises(GgdqError, match="multiple of 6"):
        step_graph(network, 4)


def test_padding_of_many_rows_is_computed_with_a_row_that_reads_the_input() -> None:
    network = of_sequence(conv(1, 6), last_row(24))  # found by chance: rows that read nothing but padding
    step = step_graph(network)
    frames = random_frames(network, 30, 1)
    check(network, step, run_reference(step, frames), frames)
    whole = of_sequence(conv(1, 6), AveragePool2D(Size(1, 24), Size(1, 24)))
    step = step_graph(whole)
    check(whole, step, run_reference(step, frames), frames)


@pytest.mark.parametrize(
    ("operators", "reason"),
    [
        ((UpSampling2D(Size(1, 2)),), "layer_0.*every row"),
        ((Permute((1, 3, 2)),), "layer_0.*moves the axis"),
        ((Broadcast((2, 20, 4)),), "layer_0.*repeats the sequence"),
    ],
)
def test_what_cannot_be_streamed_is_named(operators: tuple[Operator, ...], reason: str) -> None:
    with pytest.raises(GgdqError) as error:
        step_graph(of_sequence(*operators))
    assert re.search(reason, str(error.value))
    assert "\n" not in str(error.value)


def test_rows_across_words_are_left_to_portable_kernels_where_the_core_wants_whole_words() -> None:
    """Rows of 4 bytes begin words; of the rows of an image 2 x 3 only every second does."""
    words = step_graph(of_sequence(conv(1, 0), last_row(18)))
    convolution = Conv2D(Size(2, 2), 4)
    across = step_graph(of_sequence(convolution, AveragePool2D(Size(8, 1), Size(8, 1)), shape=(9, 2, 3)))
    assert make_plan(across, CORES["cortex-m0plus"], "speed").kernels["layer_0"].name == "portable"
    assert make_plan(across, CORES["cortex-m4"], "speed").kernels["layer_0"].name != "portable"
    assert make_plan(words, CORES["cortex-m0plus"], "speed").kernels["layer_0"].name == "four_channels"


def test_parts_of_a_layer_share_a_kernel_and_its_weights() -> None:
    mean = AveragePool2D(Size(1, 20), Size(1, 20))
    network = of_sequence(conv(1, 1, 1), conv(1, 1, 1), mean)
    step = step_graph(network)
    plan, whole = make_plan(step, CORES["cortex-m4"], "speed"), make_plan(network, CORES["cortex-m4"], "speed")
    parts = [name for name, layer in step.layer_of.items() if layer == "layer_1"]
    assert len(parts) == 2
    assert len({plan.kernels[name].name for name in parts}) == 1
    assert plan.constant_bytes <= whole.constant_bytes


def test_memory_is_worth_what_the_goal_says() -> None:
    mean = AveragePool2D(Size(1, 60), Size(1, 60))
    network = of_sequence(*[conv(2, 2, 2)] * 5, mean, shape=(1, 60, 4))
    plans = {goal: make_stream_plan(network, CORES["cortex-m4"], goal) for goal in ("speed", "size")}
    memory = {goal: plan.arena.size + plan.ring_bytes for goal, plan in plans.items()}
    work = {goal: sum(kernel.instructions for kernel in plan.kernels.values()) for goal, plan in plans.items()}
    assert memory["size"] < memory["speed"]
    assert work["speed"] < work["size"]
    least = make_stream_plan(network, CORES["cortex-m4"], "speed", limit=0)
    assert least.arena.size + least.ring_bytes <= memory["speed"]


def test_one_row_is_no_stream() -> None:
    with pytest.raises(GgdqError, match="no frames"):
        step_graph(of_sequence(Clip(low=0.0), shape=(1, 1, 4)))


@pytest.mark.nightly
@settings(max_examples=5_000, **COMMON)
@given(streams(), OPTIONS, st.integers(1, 3), st.booleans(), st.integers(0, 2**20))
def test_very_many_references_of_streams(
    network: tuple[Graph, np.ndarray], options: Options, times: int, keep: bool, seed: int
) -> None:
    check_reference(quantized(*network, options), times, keep, seed)
