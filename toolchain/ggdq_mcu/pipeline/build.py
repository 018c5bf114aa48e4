"""From a model file to a firmware project: every stage in its order, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from glob import has_magic
from pathlib import Path

from ggdq_mcu import boards, projects
from ggdq_mcu.codegen.names import identifier
from ggdq_mcu.data import DataSet, load_data
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend import attach, attach_kept, parse
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.importers import is_quantized, load, load_kept
from ggdq_mcu.importers.shapes import InputShapes
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.budget import STACK_BYTES, budget
from ggdq_mcu.pipeline.input_formats import input_formats
from ggdq_mcu.pipeline.mixed_bits import BitSearch, Wanted, bit_search
from ggdq_mcu.pipeline.quantized_project import DEFAULT_NAME, Built, Quantized, Target, build_quantized, check_goal
from ggdq_mcu.pipeline.suspicions import CHECKED_SAMPLES, suspicions
from ggdq_mcu.planning.arena import tensor_bytes
from ggdq_mcu.planning.stream_plan import Streaming
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.projects import App
from ggdq_mcu.quantization.calibration import Calibration, calibrate, calibrate_without_data
from ggdq_mcu.quantization.level_histogram import level_histograms
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.plausible import with_statistics
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.quantization.schemes import scheme
from ggdq_mcu.quantization.shards import calibrate_shards, shard_paths
from ggdq_mcu.scratch import Scratch
from ggdq_mcu.version import __version__

KEPT = "tflite"  # the scheme of a network that keeps its own
_TRIALS = 4  # networks looked for, each but the last with a firmware that tells what a budget leaves for the next
KEPT_SAMPLES = 10  # calibration samples that go into the project, for verify
JUDGED_SAMPLES = 50  # calibration samples that the report's figures are measured on
DATA_FREE = "calibrated without data, on BatchNormalization statistics; real samples (--calib data.npz) are better"
PRUNED = (
    "--prune-dead: channels that no calibration sample changes are removed; "
    "inputs unlike the samples may be computed differently: evaluate the network on other data"
)


@dataclass(frozen=True)
class Request:
    """What to build. ``out`` None: MODEL-BOARD in this folder; ``data`` None: MODEL.npz, if it is there.

    ``data`` may be a pattern (shards/*.npz): the files are read a batch at a time, or by the ``workers`` of a Dask
    scheduler at that address. ``calibration_samples`` limits the samples used.
    ``name`` is the network's name in C: ggdq_NAME_invoke.
    ``ram`` and ``flash``: bytes that the firmware may take, where that is less than the board has.
    ``keep_quantization``: a quantized TFLite network keeps its own formats, and the arithmetic of TensorFlow Lite Micro
    ("micro") or of the desktop's reference kernels ("reference"); "": it is requantized, if there are samples.
    ``budget``: what the bit length of each layer is to be found for; its ``flash`` and ``ram`` count like these.
    ``tune``: count the instructions of each layer's kernels on the emulated core and choose by the counts.
    ``streaming``: make a network that takes frame by frame. ``frontend``: what makes the network's input of samples.
    ``strict``: what would be a warning is an error.
    ``input_formats`` are texts T:SCALE:ZERO, by input name, or under "" for the only input; ``input_shapes`` sizes that
    the model leaves open, by input name in the same way.
    """

    model: Path
    board: str
    out: Path | None = None
    data: Path | None = None
    calibration_samples: int | None = None
    name: str = DEFAULT_NAME
    workers: str | None = None
    options: Options = field(default_factory=Options)
    input_formats: Mapping[str, str] | None = None
    input_shapes: InputShapes | None = None
    goal: str = "balanced"
    ram: int | None = None
    flash: int | None = None
    app: App = field(default_factory=App)
    compile: bool = True
    tune: bool = False
    keep_quantization: str = ""
    streaming: Streaming | None = None
    budget: Wanted | None = None
    keep_going: bool = False
    frontend: str = ""
    strict: bool = False


def build(request: Request, progress: Progress = SILENT) -> Built:
    """Makes the project that ``request`` asks for; nothing is written before all is known to be right."""
    board = boards.load(request.board)
    scheme(request.options.scheme)
    check_goal(request.goal)
    out = request.out or Path(f"{request.model.stem}-{board.name}")
    projects.check_out(out)
    progress.step(f"reading {request.model}")
    name = identifier(request.name)
    where = board, out, name
    limits = request.ram, request.flash
    target = Target(*where, request.goal, *limits, request.app, request.compile, request.tune, request.streaming)
    target = replace(target, keep_going=request.keep_going)
    if request.budget is not None and (request.keep_quantization or request.streaming):
        what = "formats that are kept" if request.keep_quantization else "streams"
        raise GgdqError(
            f"bit lengths are not found for {what}", f"budget {request.budget.text}", "leave one of them out"
        )
    if request.keep_quantization:
        return build_quantized(_kept(request, name, progress), target, progress)
    unsampled = _kept_without_samples(request, name)
    if unsampled is not None:
        progress.note(f"{unsampled.calibration}, as there are no samples; with --calib it would be quantized anew")
        return build_quantized(unsampled, target, progress)
    graph = optimize(_with_frontend(load(request.model, name, request.input_shapes), request))
    formats = input_formats(request.input_formats, graph)
    calibration, known, told = _calibrate(request, graph, progress)
    progress.note(told)
    if request.options.prune_dead:
        progress.note(PRUNED)
    calibration, contradicted = with_statistics(graph, calibration)
    warnings = warned(graph, known, request.strict, progress, contradicted)
    judged = known.first(JUDGED_SAMPLES) if known else None
    options = replace(request.options, input_formats=formats)
    made_from = source_of(request.model) | ({"frontend": request.frontend} if request.frontend else {})
    kept = judged.first(KEPT_SAMPLES) if judged else None

    def made(network: QuantizedGraph, source: Mapping[str, str]) -> Quantized:
        levels = level_histograms(network, calibration)
        source = {**made_from, **source}
        return Quantized(graph, network, kept, options.scheme, told, source, levels, judged, warnings)

    if request.budget is None:
        progress.step("quantizing")
        return build_quantized(made(quantize(graph, calibration, options), {}), target, progress)
    search = bit_search(graph, calibration, options, board, request.goal, request.budget, progress)
    return build_quantized(*_within_budget(search, made, target, progress), progress)


def _within_budget(
    search: BitSearch,
    made: Callable[[QuantizedGraph, Mapping[str, str]], Quantized],
    target: Target,
    progress: Progress,
) -> tuple[Quantized, Target]:
    """The network with the bit lengths that were found, and the target, which knows what is beside the plan.

    How much code there is, and what else a firmware has, is known once it is compiled.
    """
    limits = budget(target.board, target.ram, target.flash)
    for trials_left in reversed(range(_TRIALS)):
        found = search.find(limits.less(*target.beside))
        quantized = made(found.network, {"bit_lengths": found.told})
        if not target.compile or not trials_left:
            break
        with Scratch("budget") as folder:
            trial = replace(target, out=folder / "trial", tune=False, checked=False)
            known = build_quantized(quantized, trial, progress).description
        ends = sum(tensor_bytes(quantized.network, name) for name in (*search.graph.inputs, *search.graph.outputs))
        ram, flash = known.ram_bytes or 0, known.flash_bytes or 0
        if ram <= (limits.ram or ram) and flash <= (limits.flash or flash):
            break
        beside = ram - (known.arena_bytes or 0) - ends - STACK_BYTES, flash - (known.weights_bytes or 0)
        target = replace(target, beside=(max(beside[0], target.beside[0]), max(beside[1], target.beside[1])))
    return quantized, target


def _kept(request: Request, name: str, progress: Progress) -> Quantized:
    """The network with the quantization that its file has."""
    if request.options != Options() or request.input_formats or request.input_shapes or request.workers:
        raise GgdqError(
            "keeping the file's quantization leaves nothing to choose",
            fix="leave out what is said of formats and steps",
        )
    made = _kept_with_frontend(keep(request.model, name, request.keep_quantization), request)
    path = request.data or request.model.with_suffix(".npz")
    if request.data is not None or path.is_file():
        known = load_data(path, made.graph).first(CHECKED_SAMPLES)
        warnings = warned(made.graph, known, request.strict, progress)
        judged = known.first(JUDGED_SAMPLES)
        made = replace(made, samples=judged.first(KEPT_SAMPLES), judged=judged, warnings=warnings)
    progress.note(made.calibration)
    return made


def keep(model: Path, name: str | None = None, arithmetic: str = "micro") -> Quantized:
    """A quantized TFLite network with its own formats, and the arithmetic of "micro" or "reference" kernels."""
    graph, network = load_kept(model, name, arithmetic == "micro")
    told = f"formats and arithmetic of {model.name}, kept"
    return Quantized(graph, network, None, KEPT, told, source_of(model))


def _kept_without_samples(request: Request, name: str) -> Quantized | None:
    """The network with its own quantization, where the file has one and nothing else is asked for; None otherwise."""
    path = request.data or request.model.with_suffix(".npz")
    plain = request.options == Options() and not request.input_formats and request.budget is None
    if path.is_file() or request.data or not plain or request.streaming or not is_quantized(request.model):
        return None
    try:
        kept = keep(request.model, name)
    except GgdqError as error:
        what = f"its quantization cannot be kept: {error.what}"
        raise GgdqError(what, error.where, "give samples to quantize it anew: --calib samples.npz") from error
    return _kept_with_frontend(kept, request)


def _with_frontend(graph: Graph, request: Request) -> Graph:
    return attach(graph, parse(request.frontend)) if request.frontend else graph


def _kept_with_frontend(made: Quantized, request: Request) -> Quantized:
    if not request.frontend:
        return made
    graph, network = attach_kept(made.graph, made.network, parse(request.frontend))
    return replace(made, graph=graph, network=network, source={**made.source, "frontend": request.frontend})


def warned(
    graph: Graph, data: DataSet | None, strict: bool, progress: Progress = SILENT, contradicted: str = ""
) -> tuple[str, ...]:
    """What is suspicious about the samples, told as warnings; a GgdqError instead if ``strict``.

    ``contradicted``: what is said where nothing more exact is known.
    """
    lines = tuple(suspicions(graph, data)) or tuple(filter(None, [contradicted]))
    if lines and strict:
        raise GgdqError(lines[0], fix="leave --strict out to build all the same")
    for line in lines:
        progress.note(f"warning: {line}")
    return lines


def _calibrate(request: Request, graph: Graph, progress: Progress) -> tuple[Calibration, DataSet | None, str]:
    """The calibration, the first of its samples, and in one line where they come from."""
    progress.step("calibrating")
    path, how, count = request.data, "", request.calibration_samples
    if path is None:
        beside = request.model.with_suffix(".npz")
        if not beside.is_file():
            return without_samples(request.model, graph), None, DATA_FREE
        path, how = beside, " (found beside the model)"
    if request.workers is None and (path.exists() or not has_magic(str(path))):
        data = load_data(path, graph)
        data = data if count is None else data.first(count)
        if data.note:
            progress.note(data.note)
        told = f"calibrated on {len(data)} samples of {path.name}{how}"
        return calibrate(graph, data), data.first(CHECKED_SAMPLES), told
    paths = shard_paths(str(path))
    seen = partial(progress.step, "calibrating")
    calibration = calibrate_shards(graph, paths, count, request.workers, seen)
    judged = DataSet({name: x[:JUDGED_SAMPLES] for name, x in calibration.samples.items()}, source=str(path))
    return calibration, judged, f"calibrated on {calibration.seen} samples of {len(paths)} files {path.name}"


def without_samples(model: Path, graph: Graph) -> Calibration:
    """Calibrates on what the network itself knows; the error of one that knows nothing tells of the file's own formats."""
    try:
        return calibrate_without_data(graph)
    except GgdqError as error:
        if not is_quantized(model):
            raise
        fix = f"{error.fix}; or keep the quantization that the file has, with --keep-quantization and no other option"
        raise GgdqError(error.what, error.where, fix) from error


def source_of(model: Path) -> dict[str, str]:
    """What the network was made from and with."""
    made = {"model": model.name, "ggdq_mcu": __version__}
    return made | ({"sha256": hashlib.sha256(model.read_bytes()).hexdigest()} if model.is_file() else {})
