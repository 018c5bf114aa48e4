"""Where does the time go on the board? Executed instructions, layer by layer, counted in the emulator."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ggdq_mcu.pipeline.inputs import input_samples, per_sample
from ggdq_mcu.pipeline.places import open_emulator
from ggdq_mcu.pipeline.progress import SILENT, Progress
from ggdq_mcu.pipeline.project import open_project


@dataclass(frozen=True)
class LayerProfile:
    """Multiply-accumulates and executed instructions of one layer."""

    name: str
    macs: int
    instructions: int


@dataclass(frozen=True)
class Profile:
    """Executed instructions of one inference on ``core``; ``instructions`` are those of the whole network."""

    core: str
    instructions: int
    macs: int
    layers: tuple[LayerProfile, ...]


def profile(folder: Path, progress: Progress = SILENT) -> Profile:
    """Runs one inference of the project's firmware on the emulated board and counts."""
    project = open_project(folder)
    network = project.network
    (sample,) = per_sample(input_samples(network, project.samples(), 1), network.inputs)
    with open_emulator(project, progress) as board:
        progress.step("counting instructions")
        trace = board.trace(sample)
    names = [node.name for node in network.nodes]
    macs = {layer.name: layer.macs for layer in project.description.layers}
    layers = tuple(LayerProfile(names[index], macs[names[index]], count) for index, count in trace.instructions.items())
    return Profile(project.board.core.name, trace.total, sum(macs.values()), layers)
