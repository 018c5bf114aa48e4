"""Layers compiled for this computer or an emulated core with each of their kernels, and called directly."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ggdq_mcu.boards import CORES, Core, Memory
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.emulation.linked_library import link_library
from ggdq_mcu.emulation.qemu_library import run_library
from ggdq_mcu.emulation.unicorn_machine import Machine
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.operators.input import Input
from ggdq_mcu.planning.arena import plan_arena
from ggdq_mcu.planning.plan import Plan
from operators.cases import Layer

_DATA = Memory(0x2400_0000, 0x40_0000)
_GUARD = b"\xa5" * 16  # behind each tensor, to see writes that go too far


def network_of(layers: Sequence[Layer], core: Core) -> tuple[QuantizedGraph, Plan, list[tuple[Layer, str, Kernel]]]:
    """Unconnected layers, each once for every kernel that the core may use; and (layer, name of its node, kernel)."""
    inputs: list[QuantizedNode] = []
    nodes: list[QuantizedNode] = []
    kernels: dict[str, Kernel] = {}
    tried = []
    for number, one in enumerate(layers):
        names = tuple(f"in_{number}_{i}" for i in range(len(one.shapes)))
        own = [QuantizedNode(n, Input(s), (), f) for n, s, f in zip(names, one.shapes, one.sources, strict=True)]
        probe = QuantizedNode(f"layer_{number}", one.operator, names, one.output, one.constants)
        alone = QuantizedGraph("alone", (*own, probe), (probe.name,))
        if one.operator.is_view:
            continue  # there is no code
        inputs += own
        for kernel in kernels_of(alone.layer(probe), core):
            node = QuantizedNode(f"layer_{number}_{kernel.name}", one.operator, names, one.output, one.constants)
            nodes.append(node)
            kernels[node.name] = kernel
            tried.append((one, node.name, kernel))
    graph = QuantizedGraph("layers", (*inputs, *nodes), tuple(node.name for node in nodes))
    return graph, Plan(graph, core, "balanced", kernels, plan_arena(graph, kernels, moves=0)), tried


def compiled(plan: Plan, flags: Sequence[str] = ("-O2",)) -> Machine:
    """The network's library in an emulated core, with all warnings as errors."""
    machine = Machine(link_library(plan, "layers", (*STRICT, *flags)).image, plan.core, count=True)
    machine.map(_DATA, writable=True)
    return machine


def run(machine: Machine, graph: QuantizedGraph, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs by name for one sample."""
    address = _DATA.origin
    places: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for name in (*graph.inputs, *graph.outputs):
        form = graph.by_name[name].format
        sizes[name] = int(np.prod(graph.shapes[name])) * form.storage_bits // 8
        places[name] = address
        given = sample[name].tobytes() if name in sample else b"\0" * sizes[name]
        machine.write(address, given + _GUARD)
        address += (sizes[name] + len(_GUARD) + 7) // 8 * 8
    if graph.keeps_state:
        machine.call("ggdq_layers_reset")
    assert machine.call("ggdq_layers_invoke", *(places[name] for name in (*graph.inputs, *graph.outputs))) == 0
    outputs = {}
    for name in graph.outputs:
        raw = machine.read(places[name], sizes[name] + len(_GUARD))
        assert raw[sizes[name] :] == _GUARD, f"{name} writes beyond its output"
        outputs[name] = np.frombuffer(raw[: sizes[name]], graph.by_name[name].format.dtype).reshape(graph.shapes[name])
    return outputs


def run_on_host(
    plan: Plan, samples: Sequence[Mapping[str, np.ndarray]], flags: Sequence[str]
) -> list[dict[str, np.ndarray]]:
    """Outputs by name for each sample, of the library compiled for this computer."""
    graph = plan.graph
    with tempfile.TemporaryDirectory(prefix="ggdq-test-") as folder:
        texts = render_network(plan, "layers")
        for name, text in texts.items():
            (Path(folder) / name).write_text(text)
        line = ["cc", *STRICT, *flags, "-fPIC", "-shared", *(n for n in texts if n.endswith(".c")), "-o", "layers.so"]
        done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        library = ctypes.CDLL(f"{folder}/layers.so")
    return [_called(library, graph, sample) for sample in samples]


def _called(library: ctypes.CDLL, graph: QuantizedGraph, sample: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    memory: dict[str, np.ndarray] = {}
    for name in (*graph.inputs, *graph.outputs):
        form, shape = graph.by_name[name].format, graph.shapes[name]
        value = np.ascontiguousarray(sample[name]) if name in sample else np.zeros(shape, form.dtype)
        memory[name] = np.frombuffer(value.tobytes() + _GUARD, np.uint8).copy()
    if graph.keeps_state:
        library.ggdq_layers_reset()
    assert library.ggdq_layers_invoke(*(one.ctypes.data_as(ctypes.c_void_p) for one in memory.values())) == 0
    assert all(one[-len(_GUARD) :].tobytes() == _GUARD for one in memory.values())
    return {
        name: memory[name][: -len(_GUARD)].view(graph.by_name[name].format.dtype).reshape(graph.shapes[name])
        for name in graph.outputs
    }


def check_equal_to_reference(layers: Sequence[Layer], core_name: str, flags: Sequence[str] = ("-O2",)) -> set[str]:
    """Every kernel of every layer gives the reference's integers; the names of the kernels tried."""
    core = CORES[core_name]
    graph, plan, tried = network_of(layers, core)
    samples = [
        {f"in_{n}_{i}": layer.samples[i][index] for n, layer in enumerate(layers) for i in range(len(layer.shapes))}
        for index in range(2)
    ]
    if core.family == "host":
        outputs = run_on_host(plan, samples, flags)
    elif core.unicorn:
        machine = compiled(plan, flags)
        outputs = [run(machine, graph, sample) for sample in samples]
    else:
        outputs = [outcome.outputs for outcome in run_library(plan, samples, flags)]
    for layer, name, kernel in tried:
        expected = layer.computed()
        for index in range(2):
            np.testing.assert_array_equal(outputs[index][name], expected[index], f"{kernel.name}: {layer}")
    return {f"{layer.operator.name} {kernel.name}" for layer, _, kernel in tried}
