"""How are the commands used from Python? A network is quantized, tried, saved and built, in a script or a notebook."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu import boards
from ggdq_mcu.codegen.names import identifier
from ggdq_mcu.describe.description import Description, describe_network
from ggdq_mcu.describe.evaluation import Evaluation, compare
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.importers import load as load_graph
from ggdq_mcu.importers.shapes import InputShapes
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.budget import budget as limits_of
from ggdq_mcu.pipeline.budget import parse_bytes
from ggdq_mcu.pipeline.build import DATA_FREE, JUDGED_SAMPLES, KEPT_SAMPLES, keep, source_of, warned, without_samples
from ggdq_mcu.pipeline.input_formats import input_formats as formats_of
from ggdq_mcu.pipeline.mixed_bits import bit_search, parse_budget
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.pipeline.quantized_file import read, write
from ggdq_mcu.pipeline.quantized_project import DEFAULT_NAME, Built, Quantized, Target, build_quantized
from ggdq_mcu.planning.stream_plan import Streaming
from ggdq_mcu.progress import Reporter, reporter_of
from ggdq_mcu.projects import App
from ggdq_mcu.quantization.calibration import Calibration, calibrate, calibrate_without_data
from ggdq_mcu.quantization.level_histogram import level_histograms
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.plausible import with_statistics
from ggdq_mcu.quantization.quantize import quantize as quantize_graph
from ggdq_mcu.quantization.schemes import scheme
from ggdq_mcu.report.html import table_of_layers
from ggdq_mcu.samples import Samples, samples_of
from ggdq_mcu.version import __version__

Array = NDArray[Any]
_CHUNK = 50  # samples computed at a time


def quantize(
    model: Any,
    calib: Samples | None = None,
    *,
    count: int | None = None,
    input_formats: Mapping[str, str] | str | None = None,
    input_shapes: InputShapes | None = None,
    options: Options | None = None,
    keep_quantization: bool | str = False,
    budget: str | None = None,
    board: str | None = None,
    strict: bool = False,
    **choices: Any,
) -> QuantizedModel:
    """Quantizes a trained network, as ``ggdq-mcu build`` does.

    ``model``: a file (.h5, .keras, .tflite, .onnx), a SavedModel folder, or a live ``keras.Model``. ``calib``:
    samples (N, ...), arrays by input name, a pair (x, y), the path of a .npz, or an iterable of samples or
    batches (a generator, a tf.data.Dataset, a DataLoader or Dataset of PyTorch); None: without data, on the statistics of
    BatchNormalization.
    ``count``: use the first so many samples. ``input_formats``: T:SCALE:ZERO, or such texts by input name.
    ``input_shapes``: sizes that the model leaves open, by input name, with the batch: {"image": (1, 3, 320, 240)}.
    ``budget``: find each layer's bit lengths for it, like "flash=64k,ram=20k,sqnr=25", as planned for ``board``.
    ``options``: all choices at once; ``choices``: fields of Options by name (scheme="kl", bits=6, ...).
    ``keep_quantization``: a quantized .tflite file keeps its own formats and the arithmetic of TensorFlow Lite Micro, or,
    if "reference", of TensorFlow Lite's reference kernels for desktops; the rest says nothing.
    ``strict``: raise what would be a warning about the samples' scaling or labels.
    Raises GgdqError, with the layer or file it is about, for what cannot be quantized.
    """
    chosen = _chosen(options or Options(), choices)
    if keep_quantization:
        if chosen != Options() or input_formats or input_shapes or not isinstance(model, str | os.PathLike):
            raise GgdqError(
                "keeping quantization needs a .tflite file and leaves nothing to choose", fix="leave out options"
            )
        if keep_quantization not in (True, "micro", "reference"):
            raise GgdqError(f"keep_quantization={keep_quantization!r} is neither True nor 'reference'")
        made = keep(Path(model), arithmetic="reference" if keep_quantization == "reference" else "micro")
        some = None if calib is None else samples_of(calib, made.graph).first(KEPT_SAMPLES)
        return QuantizedModel(replace(made, samples=some))
    graph = optimize(load_graph(model, input_shapes=input_shapes))
    data = None if calib is None else samples_of(calib, graph, count=count)
    texts = {"": input_formats} if isinstance(input_formats, str) else input_formats
    formats = formats_of(texts, graph)
    contradicted = ""
    if data is not None:
        calibration, contradicted = with_statistics(graph, calibrate(graph, data))
    elif isinstance(model, str | os.PathLike):
        calibration = without_samples(Path(model), graph)
    else:
        calibration = calibrate_without_data(graph)
    chosen = replace(chosen, input_formats=formats)
    found: dict[str, str] = {}
    if budget is None:
        network = quantize_graph(graph, calibration, chosen)
    else:
        network, found["bit_lengths"] = _found(graph, calibration, chosen, budget, board)
    told = DATA_FREE if data is None else f"calibrated on {len(data)} samples"
    if data is not None and data.source:
        told = f"{told} of {Path(data.source).name}"
    source = source_of(Path(model)) if isinstance(model, str | os.PathLike) else {"model": graph.name}
    source |= {"ggdq_mcu": __version__, **found}
    kept, judged = (None if data is None else data.first(some) for some in (KEPT_SAMPLES, JUDGED_SAMPLES))
    levels = level_histograms(network, calibration)
    found_odd = warned(graph, data, strict, contradicted=contradicted)
    for line in found_odd:
        warnings.warn(line, stacklevel=2)
    return QuantizedModel(Quantized(graph, network, kept, chosen.scheme, told, source, levels, judged, found_odd))


def load(path: str | os.PathLike[str]) -> QuantizedModel:
    """The model in a file that ``QuantizedModel.save`` wrote, or in a project folder that ``build`` made."""
    place = Path(path)
    if not place.is_dir():
        return QuantizedModel(read(place))
    project = open_project(place)
    known = project.description
    return QuantizedModel(
        Quantized(
            project.float_network,
            project.network,
            project.samples(),
            known.scheme or "",
            known.calibration or "",
            known.source,
            project.levels(),
        )
    )


@dataclass(frozen=True, eq=False)
class QuantizedModel:
    """A network in integers, with the float network that it was made from. Shows itself in a notebook."""

    made: Quantized

    @property
    def network(self) -> QuantizedGraph:
        """The integer network: what every implementation has to compute."""
        return self.made.network

    @property
    def float_network(self) -> Graph:
        """The network before quantization."""
        return self.made.graph

    @property
    def description(self) -> Description:
        """Layers, formats and multiply-accumulates."""
        known = describe_network(self.network, self.made.graph, self.made.scheme, self.made.calibration)
        return replace(known, source=self.made.source)

    def predict(self, x: Array | Mapping[str, Array]) -> Array | dict[str, Array]:
        """Real outputs (N, ...) for real inputs (N, ...): the integers that the board gives, times their step.

        Arrays by name go in where there are several inputs, and come out where there are several outputs.
        """
        integers = self._run(x)
        formats = {name: self.network.by_name[name].format for name in integers}
        return _single({name: formats[name].dequantize(q) for name, q in integers.items()})

    def predict_integers(self, x: Array | Mapping[str, Array]) -> Array | dict[str, Array]:
        """The outputs (N, ...) as the board gives them: integers."""
        return _single(self._run(x))

    def evaluate(self, x: Samples, y: Any = None) -> Evaluation:
        """Accuracy (where there are labels ``y``, (N,) or one-hot), agreement with the float network, SQNR by layer.

        ``x`` may also be the path of a .npz with ``x`` and ``y``.
        """
        return compare(self.float_network, self.network, samples_of(x, self.float_network, y))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes all of it to one file, which ``load`` reads; the same model always gives the same bytes."""
        write(self.made, Path(path))

    @staticmethod
    def load(path: str | os.PathLike[str]) -> QuantizedModel:
        """As the function ``load``."""
        return load(path)

    def build(
        self,
        board: str,
        out: str | os.PathLike[str] | None = None,
        *,
        name: str = DEFAULT_NAME,
        goal: str = "balanced",
        ram: int | str | None = None,
        flash: int | str | None = None,
        streaming: bool = False,
        hop: int | None = None,
        compile: bool = True,
        tune: bool = False,
        app: str = "serial",
        model_id: str = "",
        self_test: bool = False,
        keep_going: bool = False,
        progress: Reporter = None,
    ) -> Built:
        """Writes the firmware project for ``board`` to ``out`` (default: NAME-BOARD here) and compiles it.

        ``name`` is the network's name in C; ``goal`` is speed, balanced or size; ``ram`` and ``flash`` limit what the
        firmware may take, in bytes or like "20k". ``tune``, ``app``, ``model_id``, ``self_test`` and ``keep_going`` are as
        for ``ggdq-mcu build``; ``progress`` is told what is being done: an object with ``note`` and ``step``, or a function
        (text, done, total). ``streaming``: take frame by frame, with ``hop`` frames from one window to the next.
        """
        where, plain = boards.load(board), identifier(name)
        folder = Path(f"{plain}-{where.name}") if out is None else Path(out)
        stream = Streaming(hop) if streaming or hop else None
        ram_bytes, flash_bytes = (parse_bytes(one) if isinstance(one, str) else one for one in (ram, flash))
        target = Target(
            where, folder, plain, goal, ram_bytes, flash_bytes, App(app, model_id, self_test), compile, tune, stream
        )
        return build_quantized(self.made, replace(target, keep_going=keep_going), reporter_of(progress))

    def __repr__(self) -> str:
        known = self.description
        return (
            f"QuantizedModel({known.name!r}: {len(known.layers)} layers, {known.macs} multiply-accumulates, "
            f"{known.scheme}, {known.calibration})"
        )

    def _repr_html_(self) -> str:
        return table_of_layers(self.description)

    def _run(self, x: Array | Mapping[str, Array]) -> dict[str, Array]:
        data = samples_of(x, self.float_network)
        parts = [self.network.run(self.network.quantize_inputs(batch)) for batch in data.batches(_CHUNK)]
        return {name: np.concatenate([part[name] for part in parts]) for name in self.network.outputs}


def _found(
    graph: Graph, calibration: Calibration, options: Options, wanted: str, board: str | None
) -> tuple[QuantizedGraph, str]:
    """The network with the bit lengths that a budget asks for, and in one line what it reaches."""
    if board is None:
        raise GgdqError("is for a board", f"budget {wanted}", "say which, like board='nucleo'")
    asked, place = parse_budget(wanted), boards.load(board)
    found = bit_search(graph, calibration, options, place, "balanced", asked).find(
        limits_of(place, asked.ram, asked.flash)
    )
    return found.network, found.told


def _chosen(options: Options, choices: Mapping[str, Any]) -> Options:
    known = [field.name for field in fields(Options) if field.name != "input_formats"]
    for name in choices:
        if name not in known:
            near = get_close_matches(name, known, 1)
            fix = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise GgdqError(f"unknown option {name!r}", fix=fix)
    chosen = replace(options, **choices)
    scheme(chosen.scheme)
    for name in ("bits", "weight_bits"):
        if getattr(chosen, name) not in range(2, 17):
            raise GgdqError(f"{name} is {getattr(chosen, name)!r}", fix="give a whole number from 2 to 16")
    return chosen


def _single(outputs: dict[str, Array]) -> Array | dict[str, Array]:
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs
