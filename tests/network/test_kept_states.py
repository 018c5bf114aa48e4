"""Networks of TFLite files that keep a state: C on the host, sequence by sequence, equals the integer reference."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode
from ggdq_mcu.importers import load_kept
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.recall import Recall
from ggdq_mcu.operators.store import Store
from ggdq_mcu.planning.search import make_plan

FILES = ("microwakeword/v2_vad", "tflm/dtln_noise_suppression", "tflm/keyword_scrambled_8bit", "tflm/keyword_scrambled")


def assert_sequences_are_equal(network: QuantizedGraph, folder: Path, steps: int = 12) -> None:
    """A sequence with a reset in its midst gives the same in C and in the reference."""
    for name, text in render_network(make_plan(network, CORES["host"]), "net").items():
        (folder / name).write_text(text)
    sources = sorted(map(str, folder.glob("*.c")))
    subprocess.run(["cc", *STRICT, "-O1", "-fPIC", "-shared", *sources, "-o", str(folder / "net.so")], check=True)
    library, random = ctypes.CDLL(str(folder / "net.so")), np.random.default_rng(3)
    state: dict[str, object] = {}
    for step in range(steps):
        if step == steps - 4:
            state.clear()
            library.ggdq_net_reset()
        samples = {}
        for name in network.inputs:
            form = network.by_name[name].format
            samples[name] = random.integers(form.low, form.high + 1, (1, *network.shapes[name])).astype(form.dtype)
        wanted = network.run(samples, state=state)
        outputs = {name: np.zeros_like(wanted[name][0]) for name in network.outputs}
        arrays = [*(np.ascontiguousarray(one) for one in samples.values()), *outputs.values()]
        assert library.ggdq_net_invoke(*(one.ctypes.data_as(ctypes.c_void_p) for one in arrays)) == 0
        for name, found in outputs.items():
            np.testing.assert_array_equal(found, wanted[name][0], f"{name} of inference {step}")


@pytest.mark.parametrize("initial", [[-7, -7, -7], [1, -128, 127]])
def test_a_variable_is_recalled_with_its_initial_value_and_stored(tmp_path: Path, initial: list[int]) -> None:
    form = Format(8, True, 0.5, -7)
    nodes = (
        QuantizedNode("x", Input((3,)), (), form),
        QuantizedNode("last", Recall((3,)), ("x",), form, {"initial": np.array(initial, np.int8)}),
        QuantizedNode("next", Store(), ("x", "last"), form, {"initial": np.array(initial, np.int8)}),
    )
    network = QuantizedGraph("delay", nodes, ("last",))
    state: dict[str, object] = {}
    x = np.array([[[1, 2, 3]], [[4, 5, 6]]], np.int8)
    assert network.run({"x": x[0]}, state=state)["last"].tolist() == [initial]
    assert network.run({"x": x[1]}, state=state)["last"].tolist() == [[1, 2, 3]]
    assert_sequences_are_equal(network, tmp_path)


@pytest.mark.parametrize("file", FILES)
def test_published_networks_go_on_where_they_were(tmp_path: Path, shared: Path, file: str) -> None:
    _, network = load_kept(shared / "models" / "zoo" / f"{file}.tflite")
    assert network.keeps_state
    assert_sequences_are_equal(network, tmp_path, 8)
