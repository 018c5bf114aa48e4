"""Layers compiled for an emulated core with each of their kernels, and called directly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ggdq_mcu.boards import CORES, Core, Memory
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.emulation.linked_library import link_library
from ggdq_mcu.emulation.unicorn_machine import Machine
from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.operators.input import Input
from ggdq_mcu.planning.arena import plan_arena
from ggdq_mcu.planning.plan import Plan

_DATA = Memory(0x2400_0000, 0x40_0000)
_GUARD = b"\xa5" * 16  # behind each tensor, to see writes that go too far


@dataclass(frozen=True, eq=False)
class LayerCase:
    """One layer: operator, shapes and formats of its inputs, its format and constants, and batches of inputs."""

    operator: Operator
    shapes: tuple[tuple[int, ...], ...]
    sources: tuple[Format, ...]
    output: Format
    constants: Mapping[str, np.ndarray]
    samples: tuple[np.ndarray, ...]

    def __repr__(self) -> str:
        formats = ", ".join(f"{form.short} z={form.zero_point}" for form in (*self.sources, self.output))
        values = {name: value.tolist() for name, value in self.constants.items()}
        return f"{self.operator} on {self.shapes}, {formats}, {values}"


def network_of(
    cases: Sequence[LayerCase], core: Core
) -> tuple[QuantizedGraph, Plan, list[tuple[LayerCase, str, Kernel]]]:
    """Unconnected layers: each case once for every kernel that the core may use; and (case, node, kernel)."""
    inputs: list[QuantizedNode] = []
    layers: list[QuantizedNode] = []
    kernels: dict[str, Kernel] = {}
    tried = []
    for number, case in enumerate(cases):
        names = tuple(f"in_{number}_{i}" for i in range(len(case.shapes)))
        inputs += [QuantizedNode(n, Input(s), (), f) for n, s, f in zip(names, case.shapes, case.sources, strict=True)]
        probe = QuantizedNode(f"layer_{number}", case.operator, names, case.output, case.constants)
        alone = QuantizedGraph("alone", (*inputs, probe), (probe.name,))
        for kernel in kernels_of(alone.layer(probe), core):
            node = QuantizedNode(f"layer_{number}_{kernel.name}", case.operator, names, case.output, case.constants)
            layers.append(node)
            kernels[node.name] = kernel
            tried.append((case, node.name, kernel))
    graph = QuantizedGraph("layers", (*inputs, *layers), tuple(node.name for node in layers))
    return graph, Plan(graph, core, "balanced", kernels, plan_arena(graph, kernels)), tried


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


def check_equal_to_reference(cases: Sequence[LayerCase], core_name: str, flags: Sequence[str] = ("-O2",)) -> set[str]:
    """Every kernel of every case gives the reference's integers; the names of the kernels tried."""
    core = CORES[core_name]
    graph, plan, tried = network_of(cases, core)
    machine = compiled(plan, flags)
    for index in range(2):
        sample = {
            f"in_{number}_{i}": case.samples[i][index]
            for number, case in enumerate(cases)
            for i in range(len(case.shapes))
        }
        outputs = run(machine, graph, sample)
        for case, name, kernel in tried:
            inputs = [values[index : index + 1] for values in case.samples]
            expected = case.operator.compute_integer(inputs, case.constants, list(case.sources), case.output)[0]
            np.testing.assert_array_equal(outputs[name], expected, f"{kernel.name}: {case}")
    return {f"{case.operator.name} {kernel.name}" for case, _, kernel in tried}
