"""How many instructions does each kernel that a layer may use really take? Counted on the emulated core.

The cost model of planning is an estimate. Here the network is compiled and run once for each place in the layers' lists
of candidates, so that every candidate has run on real values of its layer; the counts take the estimates' place in
the choice. Counts depend on network, core and compiler only, so the same build chooses the same kernels again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from numpy.typing import NDArray

from ggdq_mcu.boards import Core, Memory
from ggdq_mcu.describe.description import Description
from ggdq_mcu.emulation.layers import layer_symbols
from ggdq_mcu.emulation.linked_library import compiler_of, link_library
from ggdq_mcu.emulation.unicorn_machine import Call, Machine
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.numerics.noise import Noise
from ggdq_mcu.planning.arena import plan_arena
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.progress import SILENT, Progress

Array = NDArray[Any]
_NAME = "tuned"
_SLOWEST = 3.0  # a kernel whose estimate is more than so many times the layer's least is not run
_DATA = 0x2400_0000  # where inputs and outputs lie
_PAGE = 0x1000


@dataclass(frozen=True)
class Tuning:
    """Executed instructions of one inference, by layer and kernel, and the compiler of the code that ran."""

    compiler: str
    instructions: Mapping[str, Mapping[str, int]]


def tune(graph: QuantizedGraph, core: Core, progress: Progress = SILENT) -> Tuning:
    """Runs the kernels of every layer on one input; GgdqError where ``core`` cannot be emulated or results are wrong.

    Kernels that the cost model finds hopeless keep its estimate: they are not in the result.
    """
    if not core.unicorn:
        raise GgdqError(f"there is no emulator that counts instructions of {core.name}", "--tune", "build without it")
    compiler = compiler_of(core)
    candidates = {
        node.name: _promising(kernels_of(graph.layer(node), core))
        for node in graph.nodes
        if node.inputs and not node.operator.is_view
    }
    random = Noise(0)
    inputs = {
        name: random.integers(form.low, form.high, (1, *graph.shapes[name])).astype(form.dtype)
        for name, form in ((name, graph.by_name[name].format) for name in graph.inputs)
    }
    expected = graph.run(inputs)
    counts: dict[str, dict[str, int]] = {name: {} for name in candidates}
    rounds = max((len(kernels) for kernels in candidates.values()), default=0)
    for place in range(rounds):
        progress.step(f"measuring kernels on the emulated {core.name}, {place + 1} of {rounds}")
        kernels = {name: options[min(place, len(options) - 1)] for name, options in candidates.items()}
        plan = Plan(graph, core, "speed", kernels, plan_arena(graph, kernels))
        for name, executed in _executed(plan, inputs, expected).items():
            counts[name][kernels[name].name] = executed
    version = subprocess.run([compiler, "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
    return Tuning(f"{core.tools}gcc {version}", counts)


def with_tuning(description: Description, tuning: Tuning) -> Description:
    """The description of a project whose kernels were chosen by ``tuning``: what was measured, and with what."""
    layers = tuple(replace(layer, measured=tuning.instructions[layer.name]) for layer in description.layers)
    return replace(description, layers=layers, source={**description.source, "tuned_with": tuning.compiler})


def _promising(kernels: list[Kernel]) -> list[Kernel]:
    """The kernels that are worth a run; one without an estimate is, where no other has one."""
    least = min((kernel.instructions for kernel in kernels if kernel.instructions), default=0.0)
    return [k for k in kernels if k.instructions <= _SLOWEST * least and (k.instructions or not least)]


def _executed(plan: Plan, inputs: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, int]:
    """Instructions of each layer, by its name, in one inference whose outputs must be ``expected``."""
    graph = plan.graph
    machine = Machine(link_library(plan, _NAME).image, plan.core, count=True)
    names = {symbol.function: graph.nodes[symbol.index].name for symbol in layer_symbols(plan, _NAME)}
    for function in names:
        machine.watch(function, 0)
    calls: list[Call] = []
    machine.on_return = calls.append
    places, end = {}, _DATA
    for name in (*graph.inputs, *graph.outputs):
        places[name] = end
        end += -(-prod(graph.shapes[name]) * graph.by_name[name].format.storage_bits // 8 // 8) * 8
    machine.map(Memory(_DATA, -(-(end - _DATA) // _PAGE) * _PAGE), writable=True)
    for name, values in inputs.items():
        machine.write(places[name], values.tobytes())
    machine.call(f"ggdq_{_NAME}_invoke", *places.values())
    for name, values in expected.items():
        if machine.read(places[name], values.nbytes) != values.tobytes():
            kernels = ", ".join(sorted({kernel.name for kernel in plan.kernels.values()}))
            raise GgdqError(f"kernels {kernels} do not give the reference's output {name!r}", plan.core.name)
    return {names[call.function]: call.instructions for call in calls}
