"""Where does the time go on the board? Executed instructions and estimated cycles, layer by layer, from the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ggdq_mcu.boards import CORES, Core
from ggdq_mcu.emulation.backend import Trace
from ggdq_mcu.emulation.linked_library import can_run, trace_library
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.inputs import input_samples, per_sample
from ggdq_mcu.pipeline.places import open_emulator
from ggdq_mcu.pipeline.progress import SILENT, Progress
from ggdq_mcu.pipeline.project import Project, open_project
from ggdq_mcu.planning.plan import make_plan
from ggdq_mcu.projects.interface import Arrays


@dataclass(frozen=True)
class LayerProfile:
    """Multiply-accumulates and executed instructions of one layer.

    ``instructions_per_mac`` is None for layers without multiply-accumulates, ``share`` the layer's part of the network's
    cycles (of its instructions, where cycles are not estimated), ``cycles_estimate`` None where there is no rule.
    """

    name: str
    macs: int
    instructions: int
    instructions_per_mac: float | None
    cycles_estimate: int | None
    share: float


@dataclass(frozen=True)
class Profile:
    """One inference on ``core``, whole network and layers; ``instructions_per_mac`` as for a layer.

    ``board`` is where the firmware ran, None where the network's library ran alone on another core. ``cycles_rule`` says
    how cycles are estimated, None where there is no rule for the core. ``milliseconds_estimate`` is those cycles at the
    board's clock.
    """

    core: str
    board: str | None
    instructions: int
    macs: int
    instructions_per_mac: float | None
    cycles_estimate: int | None
    cycles_rule: str | None
    milliseconds_estimate: float | None
    layers: tuple[LayerProfile, ...]


def profile(folder: Path, progress: Progress = SILENT, core: str | None = None) -> Profile:
    """Runs one inference of the project's firmware on the emulated board and counts.

    ``core``: runs the network's library alone on this core instead, with the kernels that the project's goal chooses there.
    Where no emulator counts instructions of a whole board (Cortex-M55), the library runs alone as well. Raises a GgdqError
    where no emulator has the core, or where the outputs are not the reference's.
    """
    project = open_project(folder)
    network = project.network
    (sample,) = per_sample(input_samples(network, project.samples(), 1), network.inputs)
    chosen = _core(core) if core is not None else project.board.core
    if core is None and chosen.unicorn:
        with open_emulator(project, progress) as board:
            progress.step("counting instructions")
            return _profile(project, chosen, board.trace(sample), on_board=True)
    if not can_run(chosen):
        raise GgdqError(f"there is no emulator that counts instructions of {chosen.name}", fix="--core names another")
    progress.step(f"counting instructions on {chosen.name}")
    plan = make_plan(network, chosen, project.description.goal or "balanced")
    trace = trace_library(plan, dict(zip(network.inputs, sample, strict=True)))
    _check_outputs(project, sample, trace, chosen)
    return _profile(project, chosen, trace, on_board=False)


def _core(name: str) -> Core:
    if name not in CORES:
        known = ", ".join(core.name for core in CORES.values() if can_run(core))
        raise GgdqError(f"unknown core {name!r}", fix=f"known: {known}")
    return CORES[name]


def _check_outputs(project: Project, sample: Arrays, trace: Trace, core: Core) -> None:
    network = project.network
    expected = network.run({name: x[np.newaxis] for name, x in zip(network.inputs, sample, strict=True)})
    for name, output in zip(network.outputs, trace.outputs, strict=True):
        if not np.array_equal(output, expected[name].ravel()):
            raise GgdqError(f"the output {name!r} is not the reference's", core.name, "see ggdq-mcu verify")


def _profile(project: Project, core: Core, trace: Trace, on_board: bool) -> Profile:
    from ggdq_mcu.emulation.cycles import cycle_rule

    names = [node.name for node in project.network.nodes]
    macs = {layer.name: layer.macs for layer in project.description.layers}
    rule = cycle_rule(core) if trace.total_cycles is not None else None
    whole, parts = (trace.total_cycles, trace.cycles) if trace.total_cycles else (trace.total, trace.instructions)
    layers = tuple(
        LayerProfile(
            name=names[index],
            macs=macs[names[index]],
            instructions=executed,
            instructions_per_mac=_ratio(executed, macs[names[index]]),
            cycles_estimate=trace.cycles.get(index),
            share=parts[index] / whole,
        )
        for index, executed in trace.instructions.items()
    )
    clock = project.board.clock_hz if on_board else 0
    return Profile(
        core=core.name,
        board=project.board.name if on_board else None,
        instructions=trace.total,
        macs=sum(macs.values()),
        instructions_per_mac=_ratio(trace.total, sum(macs.values())),
        cycles_estimate=trace.total_cycles,
        cycles_rule=rule.text if rule else None,
        milliseconds_estimate=1e3 * trace.total_cycles / clock if trace.total_cycles and clock else None,
        layers=layers,
    )


def _ratio(instructions: int, macs: int) -> float | None:
    return instructions / macs if macs else None
