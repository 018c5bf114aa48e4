"""From a quantized network to a firmware project: plan, code, tests, report, firmware."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ggdq_mcu import projects
from ggdq_mcu.boards import CORES, Board
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.codegen.selftest import render_selftest
from ggdq_mcu.data import DataSet
from ggdq_mcu.describe.description import Description, describe_plan
from ggdq_mcu.describe.evaluation import Evaluation, compare
from ggdq_mcu.emulation.backend import per_sample
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.pipeline.budget import budget, check_firmware, fitting_plan
from ggdq_mcu.pipeline.inputs import input_samples
from ggdq_mcu.pipeline.live import live_network, portable_sources
from ggdq_mcu.pipeline.project import Expected, tool_files, with_firmware
from ggdq_mcu.pipeline.tuning import Tuning, tune, with_tuning
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import GOALS, make_plan
from ggdq_mcu.planning.stream_plan import Streaming
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.projects import App, Arrays, Firmware, local_core, native_library
from ggdq_mcu.quantization.level_histogram import LevelHistogram
from ggdq_mcu.report.html import REPORT, report

DEFAULT_NAME = "network"
TEST_SAMPLES = 3  # calibration samples that the project's own test carries as C arrays


@dataclass(frozen=True)
class Built:
    """A finished build: the project's folder and what is in it; ``quality`` on the first calibration samples, if any."""

    folder: Path
    description: Description
    quality: Evaluation | None = None


@dataclass(frozen=True)
class Target:
    """What a quantized network is built for, and where to; the fields are those of Request, ``name`` a C identifier.

    ``beside``: bytes of RAM and flash that are known to go elsewhere than to the plan; ``checked``: is a firmware beyond the
    limits an error? ``keep_going``: the project is written although the compiler fails, or the firmware is beyond them.
    """

    board: Board
    out: Path
    name: str = DEFAULT_NAME
    goal: str = "balanced"
    ram: int | None = None
    flash: int | None = None
    app: App = field(default_factory=App)
    compile: bool = True
    tune: bool = False
    streaming: Streaming | None = None
    beside: tuple[int, int] = (0, 0)
    checked: bool = True
    keep_going: bool = False


@dataclass(frozen=True, eq=False)
class Quantized:
    """A quantized network and what it was made from: all that a project needs but the board.

    ``graph`` is the float network, ``samples`` the first of the calibration samples; ``calibration`` tells in one line
    how the steps came about, ``source`` what the network was made from and with, ``levels`` how the calibrated values lie
    on their levels, by layer. ``judged``: samples to measure the report's figures on, which no file keeps; None: ``samples``.
    ``warnings``: what is suspicious about the samples, a line each.
    """

    graph: Graph
    network: QuantizedGraph
    samples: DataSet | None
    scheme: str
    calibration: str
    source: Mapping[str, str]
    levels: Mapping[str, LevelHistogram] = field(default_factory=dict)
    judged: DataSet | None = None
    warnings: tuple[str, ...] = ()


def build_quantized(made: Quantized, target: Target, progress: Progress = SILENT) -> Built:
    """Makes the project of a network that is quantized already."""
    check_goal(target.goal)
    projects.check_out(target.out)
    _check_streaming(target)
    network, board = made.network, target.board
    limits = budget(board, target.ram, target.flash)
    tuning = tune(network, board.core, progress) if target.tune else None
    measured = tuning.instructions if tuning else None
    left = limits.less(*target.beside)
    plan = fitting_plan(network, board, target.goal, left, measured, target.streaming)
    with projects.staged(Path(os.path.abspath(target.out)), target.keep_going) as folder:
        description, quality, firmware = _write_project(made, target, folder, plan, tuning, progress)
        if firmware is not None and plan.goal != "size" and limits.flash is not None and firmware.flash > limits.flash:
            excess = firmware.flash - limits.flash
            progress.note(f"{excess} bytes of flash too many with goal {plan.goal}: built with goal size")
            plan = fitting_plan(network, board, "size", left, measured, target.streaming)
            description, quality, firmware = _write_project(made, target, folder, plan, tuning, progress)
        if firmware is not None and target.checked:
            check_firmware(firmware, limits)
    if firmware is not None:
        moved = replace(firmware, elf=target.out / firmware.elf.relative_to(folder))
        description = with_firmware(description, moved)
    return Built(target.out, description, quality)


def _write_project(
    made: Quantized, target: Target, folder: Path, plan: Plan, tuning: Tuning | None, progress: Progress
) -> tuple[Description, Evaluation | None, Firmware | None]:
    """Writes the project of a plan into ``folder`` and, if it is wanted, compiles it."""
    network, board, name = made.network, target.board, target.name
    description = replace(
        describe_plan(
            plan,
            name=name,
            board=board.name,
            scheme=made.scheme,
            calibration=made.calibration,
            graph=made.graph,
        ),
        source=made.source,
        warnings=made.warnings,
    )
    if tuning:
        description = with_tuning(description, tuning)
    progress.step(f"writing {target.out}")
    inputs = input_samples(network, made.samples.first(TEST_SAMPLES) if made.samples else None, TEST_SAMPLES)
    outputs = network.run(inputs)
    files = _network_files(plan, name, per_sample(inputs, network.inputs)[0], per_sample(outputs, network.outputs)[0])
    files |= tool_files(description, network, made.graph, made.samples, Expected(inputs, outputs), made.levels)
    judged = made.judged or made.samples
    quality = compare(made.graph, network, judged) if judged else None
    tests = list(zip(per_sample(inputs, network.inputs), per_sample(outputs, network.outputs), strict=True))
    projects.write(folder, board, files, tests, app=_scored(target.app, network))
    page = partial(report, network=plan.graph, quality=quality, levels=made.levels, board=board)
    if not target.compile:
        (folder / REPORT).write_text(page(description), encoding="utf-8")
        return description, quality, None
    progress.step(f"compiling for {board.title}")
    if local_core.fell_back():
        progress.note(
            "PlatformIO's registry does not answer: compiling with what is installed here, as with GGDQ_PIO=local"
        )
    try:
        firmware = projects.compile_project(folder)
        runs = live_network(portable_sources(files, name), name, made.graph, network, judged, progress)
        (folder / REPORT).write_text(page(with_firmware(description, firmware), live=runs), encoding="utf-8")
        return description, quality, firmware
    except GgdqError as error:
        (folder / REPORT).write_text(page(description), encoding="utf-8")
        if error.where != str(folder):
            raise
        fix = error.fix.replace(str(folder), str(target.out))
        if not target.keep_going:
            fix = "--keep-going writes the project all the same, for a look at it"
        raise GgdqError(error.what, str(target.out), fix) from error


def _scored(app: App, network: QuantizedGraph) -> App:
    """The app, with probabilities for the benchmark's runner where the network ends in logits."""
    if app.is_anomaly and any(network.by_name[name].format.per_channel for name in (*network.inputs, *network.outputs)):
        raise GgdqError("ad01 wants one format for all its inputs", "input format", "give it: --input-format s8:0.5:0")
    if app.kind != "mlperf-tiny" or app.is_anomaly or len(network.outputs) != 1:
        return app
    node = network.by_name[network.outputs[0]]
    while node.operator.is_view and node.inputs:
        node = network.by_name[node.inputs[0]]
    made = str(getattr(node.operator, "function", "") or type(node.operator).__name__)
    are_probabilities = made != "LogSoftmax" and made.lower().endswith(("softmax", "sigmoid"))
    several = math.prod(network.shapes[network.outputs[0]]) > 1
    return replace(app, probabilities=several and not are_probabilities)


def _check_streaming(target: Target) -> None:
    """GgdqError for what a stream cannot be combined with."""
    if target.streaming and target.tune:
        raise GgdqError("counts kernels on whole windows", "--tune", "leave it or --streaming out")
    if target.streaming and target.app.is_anomaly:
        raise GgdqError("takes whole samples", "--model-id ad01", "leave it or --streaming out")


def check_goal(goal: str) -> None:
    """GgdqError for a goal that planning does not know."""
    if goal not in GOALS:
        raise GgdqError(f"unknown goal {goal!r}", fix=f"known: {', '.join(GOALS)}")


def _network_files(plan: Plan, name: str, inputs: Arrays, outputs: Arrays) -> dict[str, str | bytes]:
    """The network's library and, where its kernels are the core's own, a portable twin for this computer.

    ``inputs`` and ``outputs``: integers of the sample that the self-test computes.
    """
    files: dict[str, str | bytes] = {}
    portable = replace(make_plan(plan.graph, CORES["host"], plan.goal, stages=()), spare=plan.spare)
    folders = {f"lib/ggdq_{name}": plan}
    if any(plan.kernels[layer].template != kernel.template for layer, kernel in portable.kernels.items()):
        folders[native_library(name)] = portable
    for folder, planned in folders.items():
        texts = render_network(planned, name) | render_selftest(planned, name, inputs, outputs)
        files |= {f"{folder}/src/{file}": text for file, text in texts.items()}
    return files
