"""A stateful network: what one inference leaves, the next begins with, on the host as in the reference."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.data import DataSet
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.gru import GRU
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.lstm import LSTM
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.quantize import quantize

STEPS, CHANNELS = 3, 4


def network() -> Graph:
    """An LSTM and a GRU that keep their states, and an LSTM of the same weights that does not."""
    generator = np.random.default_rng(0)

    def weights(rows: int, inputs: int, units: int) -> dict[str, np.ndarray]:
        shapes = {"kernel": (inputs, rows), "recurrent": (units, rows), "bias": (rows,)}
        return {key: generator.normal(0, 0.5, shape).astype(np.float32) for key, shape in shapes.items()}

    first, second = weights(20, CHANNELS, 5), weights(18, 5, 6)
    nodes = (
        Node("input", Input((STEPS, CHANNELS))),
        Node("lstm", LSTM(units=5, return_sequences=True, stateful=True), ("input",), first),
        Node("gru", GRU(units=6, stateful=True, reset_after=False), ("lstm",), second),
        Node("dense", Dense(2), ("gru",), {"kernel": generator.normal(0, 1, (6, 2)).astype(np.float32)}),
        Node("fresh", LSTM(units=5), ("input",), first),
    )
    return Graph("stateful", nodes, ("lstm", "dense", "fresh"))


def test_c_and_reference_go_on_where_they_were_and_begin_anew_after_a_reset(tmp_path: Path) -> None:
    graph, generator = network(), np.random.default_rng(1)
    samples = generator.normal(0, 1, (40, STEPS, CHANNELS)).astype(np.float32)
    quantized = quantize(graph, calibrate(graph, DataSet({"input": samples})))
    inputs = quantized.quantize_inputs({"input": samples})["input"]
    for name, text in render_network(make_plan(quantized, CORES["host"]), "net").items():
        (tmp_path / name).write_text(text)
    sources = sorted(map(str, tmp_path.glob("*.c")))
    subprocess.run(["cc", *STRICT, "-O1", "-fPIC", "-shared", *sources, "-o", str(tmp_path / "net.so")], check=True)
    library = ctypes.CDLL(str(tmp_path / "net.so"))

    def invoke(sample: np.ndarray) -> list[np.ndarray]:
        outputs = [np.zeros(quantized.shapes[name], quantized.by_name[name].format.dtype) for name in graph.outputs]
        arrays = [np.ascontiguousarray(sample), *outputs]
        assert library.ggdq_net_invoke(*(a.ctypes.data_as(ctypes.c_void_p) for a in arrays)) == 0
        return outputs

    state: dict[str, object] = {}
    for index in range(12):
        if index == 7:
            state.clear()
            library.ggdq_net_reset()
        sample = inputs[index : index + 1]
        wanted = quantized.run({"input": sample}, state=state)
        for name, found in zip(graph.outputs, invoke(sample[0]), strict=True):
            np.testing.assert_array_equal(found, wanted[name][0], f"{name} of inference {index}")
        alone = quantized.run({"input": sample})
        assert np.array_equal(alone["lstm"], wanted["lstm"]) == (index in (0, 7))
        np.testing.assert_array_equal(alone["fresh"], wanted["fresh"])


def test_the_windows_of_a_sequence_one_after_the_other_are_the_sequence() -> None:
    graph, generator = network(), np.random.default_rng(2)
    whole = generator.normal(0, 1, (20, 4 * STEPS, CHANNELS)).astype(np.float32)
    windows = whole.reshape(20, 4, STEPS, CHANNELS)
    quantized = quantize(graph, calibrate(graph, DataSet({"input": windows[:, 0]})))
    q = quantized.by_name["input"].format.quantize(windows)
    state: dict[str, object] = {}
    parts = [quantized.run({"input": q[:, i]}, state=state)["lstm"] for i in range(4)]
    node = quantized.by_name["lstm"]
    at_once = node.operator.compute_integer(
        [q.reshape(whole.shape)], node.constants, quantized.input_formats(node), node.format
    )
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), at_once)
