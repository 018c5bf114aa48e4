"""The C of a network, compiled for this computer and called directly: fast enough for thousands of random networks."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.planning.stages import Stage

_TRACE = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)
_TRACE_C = """
#include <stddef.h>
void (*seen)(int layer, const void *data, size_t bytes);
void ggdq_random_trace(int layer, const void *data, size_t bytes);
void ggdq_random_trace(int layer, const void *data, size_t bytes) { seen(layer, data, bytes); }
"""


def run_native(
    graph: QuantizedGraph,
    samples: Mapping[str, np.ndarray],
    goal: str = "balanced",
    flags: tuple[str, ...] = ("-O1",),
    stages: Sequence[Stage] | None = None,
) -> tuple[list[dict[str, np.ndarray]], list[dict[str, np.ndarray]]]:
    """For each sample the outputs by name, and the value of each layer by name; ``stages``: see make_plan."""
    plan = make_plan(graph, CORES["host"], goal, stages=stages)
    with tempfile.TemporaryDirectory(prefix="ggdq-test-") as folder:
        for name, text in render_network(plan, "random").items():
            (Path(folder) / name).write_text(text)
        (Path(folder) / "trace.c").write_text(_TRACE_C)
        library = Path(folder) / "network.so"
        sources = sorted(map(str, Path(folder).glob("*.c")))
        line = ["cc", *STRICT, *flags, "-DGGDQ_TRACE", "-fPIC", "-shared", *sources, "-o", str(library)]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        network = ctypes.CDLL(str(library))
        count = len(next(iter(samples.values())))
        runs = [_run(graph, network, {name: x[i] for name, x in samples.items()}) for i in range(count)]
    return [outputs for outputs, _ in runs], [layers for _, layers in runs]


def _run(
    graph: QuantizedGraph, network: ctypes.CDLL, sample: Mapping[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    seen: dict[str, bytes] = {}

    def see(layer: int, data: int, size: int) -> None:
        name = graph.nodes[layer].name
        seen[name] = seen.get(name, b"") + ctypes.string_at(data, size)  # rows after rows, where it runs in strips

    callback = _TRACE(see)
    ctypes.c_void_p.in_dll(network, "seen").value = ctypes.cast(callback, ctypes.c_void_p).value
    inputs = [np.ascontiguousarray(sample[name]) for name in graph.inputs]
    outputs = {name: np.empty(graph.shapes[name], graph.by_name[name].format.dtype) for name in graph.outputs}
    pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*inputs, *outputs.values())]
    if graph.keeps_state:
        network.ggdq_random_reset()
    assert network.ggdq_random_invoke(*pointers) == 0
    layers = {
        name: np.frombuffer(data, graph.by_name[name].format.dtype).reshape(graph.shapes[name])
        for name, data in seen.items()
    }
    return outputs, layers
