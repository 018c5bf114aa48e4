"""Where does the time go on the board? Executed instructions and estimated cycles, layer by layer, from the emulator."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import CORES, Core
from ggdq_mcu.describe.description import StageInfo, stage_info
from ggdq_mcu.emulation.backend import Trace, per_sample
from ggdq_mcu.emulation.linked_library import can_run, trace_library
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.pipeline.inputs import input_samples
from ggdq_mcu.pipeline.places import open_emulator
from ggdq_mcu.pipeline.project import Project, open_project
from ggdq_mcu.pipeline.sliding import frames_of
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.projects.interface import Arrays

_STEPS = 32  # of a stream


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
class StreamProfile:
    """Executed instructions of a stream: a frame on average, the largest of all frames, and the network on a whole window.

    ``window`` is None where there is no emulator or compiler to run the network alone.
    """

    hop: int
    frame: float
    largest: int
    window: int | None


@dataclass(frozen=True)
class Profile:
    """One inference on ``core``, whole network and layers; ``instructions_per_mac`` as for a layer.

    ``board`` is where the firmware ran, None where the network's library ran alone on another core. ``cycles_rule`` says
    how cycles are estimated, None where there is no rule for the core, ``flash_model`` what the waiting for flash is estimated
    from, None where the flash is unknown. ``milliseconds_estimate`` is those cycles at the
    board's clock. Of a stream the figures are those of one step, on average; ``stream`` says more.
    ``stages``: the layers that run in strips; theirs are the figures of all strips.
    """

    core: str
    board: str | None
    instructions: int
    macs: int
    instructions_per_mac: float | None
    cycles_estimate: int | None
    cycles_rule: str | None
    flash_model: str | None
    milliseconds_estimate: float | None
    layers: tuple[LayerProfile, ...]
    stream: StreamProfile | None = None
    stages: tuple[StageInfo, ...] = ()


def profile(folder: Path, progress: Progress = SILENT, core: str | None = None) -> Profile:
    """Runs one inference of the project's firmware on the emulated board and counts.

    ``core``: runs the network's library alone on this core instead, with the kernels that the project's goal chooses there.
    Where no emulator counts instructions of a whole board (Cortex-M55), the library runs alone as well. Raises a GgdqError
    where no emulator has the core, or where the outputs are not the reference's.
    """
    project = open_project(folder)
    if project.step is not None:
        return _of_stream(project, project.step, progress, core)
    network = project.network
    (sample,) = per_sample(input_samples(network, project.samples(), 1), network.inputs)
    chosen = _core(core) if core is not None else project.board.core
    has_firmware = core is None and project.board.uart is not None
    if has_firmware and chosen.unicorn:
        with open_emulator(project, progress) as board:
            progress.step("counting instructions")
            return _profile(project, chosen, board.trace(sample), True, project.description.stages)
    if not can_run(chosen):
        raise GgdqError(f"there is no emulator that counts instructions of {chosen.name}", fix="--core names another")
    progress.step(f"counting instructions on {chosen.name}")
    plan = make_plan(network, chosen, project.description.goal or "balanced")
    at = project.board if core is None else None
    trace = trace_library(plan, dict(zip(network.inputs, sample, strict=True)), at)
    _check_outputs(project, sample, trace, chosen)
    return _profile(project, chosen, trace, at is not None, tuple(stage_info(schedule) for schedule in plan.schedules))


def _of_stream(project: Project, step: StepGraph, progress: Progress, core: str | None) -> Profile:
    """So many steps that rows have gone back to the start of their rings: what that takes is part of the average."""
    chosen = project.board.core
    if core not in (None, chosen.name) or not chosen.unicorn:
        raise GgdqError("a stream is counted on its own board, where an emulator has it", core or chosen.name)
    needed = step.hop * (_STEPS + 1)
    samples = input_samples(project.network, project.samples(), -(-needed // step.window))
    traces: list[Trace] = []
    with open_emulator(project, progress) as board:
        for number, frame in enumerate(frames_of(step, samples)[: needed - step.window % step.hop]):
            progress.step("counting instructions", number, needed)
            traces.append(board.trace(frame))
    first = next(i for i, trace in enumerate(traces) if trace.instructions) + 1  # with it a step is done
    counted = traces[first : first + _STEPS * step.hop]
    total = sum(trace.total for trace in counted)
    cycles = None if counted[0].total_cycles is None else sum(trace.total_cycles or 0 for trace in counted) // _STEPS
    mean = replace(
        next(trace for trace in counted if trace.instructions), total=round(total / _STEPS), total_cycles=cycles
    )
    stream = StreamProfile(
        step.hop, total / len(counted), max(trace.total for trace in counted), _whole_window(project, samples)
    )
    return replace(_profile(project, chosen, mean, True, ()), stream=stream)


def _whole_window(project: Project, samples: Mapping[str, NDArray[Any]]) -> int | None:
    """Executed instructions of the network on a whole window, alone on the core."""
    core = project.board.core
    if not can_run(core) or shutil.which(f"{core.tools}gcc") is None:
        return None
    plan = make_plan(project.network, core, project.description.goal or "balanced")
    return trace_library(plan, {name: x[0] for name, x in samples.items()}).total


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


def _profile(project: Project, core: Core, trace: Trace, on_board: bool, stages: tuple[StageInfo, ...]) -> Profile:
    from ggdq_mcu.emulation.cycles import board_rule, cycle_rule

    names = [node.name for node in (project.step or project.network).nodes]
    macs = {layer.name: layer.macs for layer in project.description.layers}
    rule = (board_rule(project.board) if on_board else cycle_rule(core)) if trace.total_cycles is not None else None
    timing = project.board.timing if on_board and rule else None
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
        cycles_rule=rule.said if rule else None,
        flash_model=timing.text if timing else None,
        milliseconds_estimate=1e3 * trace.total_cycles / clock if trace.total_cycles and clock else None,
        layers=layers,
        stages=stages,
    )


def _ratio(instructions: int, macs: int) -> float | None:
    return instructions / macs if macs else None
