"""What does a generated project hold for the tools: the networks, samples, the manifest?"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu import boards, projects, storage
from ggdq_mcu.boards import Board
from ggdq_mcu.data import DataSet, channels_as_in_model, load_data, read_arrays
from ggdq_mcu.describe.description import Description, description_from_json
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.pipeline.plain import to_plain
from ggdq_mcu.planning.stack import worst_stack
from ggdq_mcu.planning.streaming import step_graph
from ggdq_mcu.progress import Progress
from ggdq_mcu.projects import Firmware
from ggdq_mcu.projects.made_here import is_made_here
from ggdq_mcu.quantization import level_histogram
from ggdq_mcu.quantization.level_histogram import LevelHistogram

Array = NDArray[Any]
QUANTIZED = "model.ggdq"
FLOAT = "float.ggdq"
SAMPLES = "samples.npz"
EXPECTED = "expected.npz"
LEVELS = "levels.json"


@dataclass(frozen=True, eq=False)
class Expected:
    """Integer inputs and what the reference made of them at build time: arrays (N, ...) by name."""

    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True)
class Project:
    """A generated project: its folder and its manifest; the networks are read when they are asked for."""

    folder: Path
    description: Description

    @cached_property
    def network(self) -> QuantizedGraph:
        """The integer reference."""
        return storage.load(self.folder / QUANTIZED)

    @cached_property
    def step(self) -> StepGraph | None:
        """One step of the stream; None where the project takes whole windows."""
        stream = self.description.stream
        return step_graph(self.network, stream.hop, stream.keep) if stream else None

    @cached_property
    def float_network(self) -> Graph:
        """The network before quantization, to compare with."""
        return storage.load_float(self.folder / FLOAT)

    @cached_property
    def board(self) -> Board:
        """The board that the project is for; one that does not ship with the package lies in the project."""
        name = self.description.board or ""
        own = self.folder / "boards" / f"{name}.json"
        return boards.load(own if own.is_file() else name)

    def samples(self) -> DataSet | None:
        """The samples that were stored at build time; None where it was built without data."""
        path = self.folder / SAMPLES
        return load_data(path, self.float_network) if path.is_file() else None

    def expected(self) -> Expected:
        """The inputs and outputs that were stored at build time."""
        path = self.folder / EXPECTED
        try:
            arrays = read_arrays(path, str(path))
            return Expected(
                {name: arrays[f"input_{i}"] for i, name in enumerate(self.network.inputs)},
                {name: arrays[f"output_{i}"] for i, name in enumerate(self.network.outputs)},
            )
        except KeyError as error:
            raise GgdqError(f"cannot be read ({error})", str(path), "build the project again") from error

    def levels(self) -> dict[str, LevelHistogram]:
        """How the values that calibration saw lie on their levels, by layer."""
        path = self.folder / LEVELS
        try:
            return level_histogram.from_json(path.read_bytes()) if path.is_file() else {}
        except (OSError, GgdqError) as error:
            raise GgdqError(f"cannot be read ({error})", str(path), "build the project again") from error

    def firmware(self) -> Firmware | None:
        """The compiled firmware, None before it is compiled."""
        try:
            return projects.firmware_of(self.folder)
        except GgdqError:
            return None

    def described(self) -> Description:
        """The manifest's description, with what the compiled firmware adds."""
        firmware = self.firmware()
        return with_firmware(self.description, firmware) if firmware else self.description


def is_project(folder: Path) -> bool:
    """Is this a folder that build made?"""
    return (folder / projects.MANIFEST).is_file()


def open_project(folder: Path) -> Project:
    """The project in ``folder``; GgdqError where there is none."""
    manifest = folder / projects.MANIFEST
    if not manifest.is_file():
        raise GgdqError(f"not a project: no {projects.MANIFEST} in it", str(folder), "make one with ggdq-mcu build")
    try:
        content = manifest.read_bytes()
    except OSError as error:
        raise GgdqError(f"cannot be read ({error})", str(manifest), "build the project again") from error
    return Project(folder, description_from_json(content, str(manifest)))


def warn_of_strangers(project: Project, trust: bool, progress: Progress) -> None:
    """Says that code of a project is compiled and run that was not made on this machine, unless ``trust``."""
    if not trust and not is_made_here(project.folder / projects.MANIFEST):
        progress.note(
            f"{project.folder} was not made on this machine: its code is compiled and run here (--trust: no note)"
        )


def with_firmware(description: Description, firmware: Firmware) -> Description:
    """The description of a project that has been compiled."""
    function = "push" if description.stream else "invoke"
    stack = worst_stack(firmware.elf, f"ggdq_{description.name}_{function}")
    return replace(
        description,
        code_bytes=firmware.code,
        flash_bytes=firmware.flash,
        ram_bytes=firmware.ram,
        stack_bytes=stack.bytes if stack else None,
        firmware=str(firmware.elf),
    )


def tool_files(
    description: Description,
    network: QuantizedGraph,
    graph: Graph,
    kept: DataSet | None,
    expected: Expected,
    levels: Mapping[str, LevelHistogram],
) -> dict[str, bytes]:
    """The files of a project that these tools read, by path."""
    quantized, float_ = io.BytesIO(), io.BytesIO()
    storage.save(network, quantized)
    storage.save_float(graph, float_)
    files = {
        projects.MANIFEST: (json.dumps(to_plain(description), indent=1) + "\n").encode(),
        QUANTIZED: quantized.getvalue(),
        FLOAT: float_.getvalue(),
        EXPECTED: _npz(
            {f"input_{i}": expected.inputs[name] for i, name in enumerate(network.inputs)}
            | {f"output_{i}": expected.outputs[name] for i, name in enumerate(network.outputs)}
        ),
    }
    if kept is not None:
        files[SAMPLES] = samples_file(kept, graph)
    if levels:
        files[LEVELS] = level_histogram.to_json(levels)
    return files


def samples_file(data: DataSet, graph: Graph) -> bytes:
    """The samples as a data file that ``load_data`` reads, in the layout of the model."""
    arrays = {
        ("x" if len(data.samples) == 1 else name): channels_as_in_model(x, graph, name)
        for name, x in data.samples.items()
    }
    if data.labels is not None:
        arrays["y"] = data.labels
    return _npz(arrays)


def _npz(arrays: Mapping[str, Array]) -> bytes:
    """A .npz file; unlike numpy.savez it takes arrays of any name."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
    return content.getvalue()
