"""How good is a project's network, in the reference or where it runs?"""

from __future__ import annotations

from pathlib import Path

from ggdq_mcu.data import load_data
from ggdq_mcu.describe.evaluation import Evaluation, compare, compare_classes
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.places import REFERENCE, open_place
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.progress import SILENT, Progress


def evaluate(
    folder: Path,
    data: Path,
    skip: int = 0,
    count: int | None = None,
    progress: Progress = SILENT,
    place: str = REFERENCE,
) -> Evaluation:
    """Runs the project's networks on ``count`` samples of ``data``, after the first ``skip``.

    ``place`` is where the integer network runs: "reference", "host", "emulator" or "serial:PORT".
    """
    project = open_project(folder)
    samples = load_data(data, project.float_network)
    if samples.note:
        progress.note(samples.note)
    samples = samples.slice(skip, len(samples) if count is None else skip + count)
    if len(samples) == 0:
        raise GgdqError(f"there is no sample after the first {skip}", f"data file {data}")
    if place == REFERENCE:
        return compare(project.float_network, project.network, samples, progress)
    with open_place(project, place, progress) as backend:
        return compare_classes(project.float_network, project.network, backend, samples, progress)
