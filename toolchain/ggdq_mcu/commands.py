"""The commands on projects, from Python: what ``ggdq-mcu verify``, ``profile`` and the others do, and their results.

A project is the folder that ``build`` made. ``progress`` is told what is being done: an object with ``note`` and ``step``, or a
function ``(text, done, total)``, ``total`` None where it is not known. All errors are GgdqError.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from ggdq_mcu import projects
from ggdq_mcu.describe.evaluation import Evaluation
from ggdq_mcu.importers.shapes import InputShapes
from ggdq_mcu.pipeline import analyze as _analyze
from ggdq_mcu.pipeline import check as _check
from ggdq_mcu.pipeline import evaluate as _evaluate
from ggdq_mcu.pipeline import profile as _profile
from ggdq_mcu.pipeline import verify as _verify
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.pipeline.reporting import write_report
from ggdq_mcu.progress import Reporter, reporter_of

PathLike = str | os.PathLike[str]


def verify(
    project: PathLike,
    on: Sequence[str] = (),
    data: PathLike | None = None,
    count: int | None = None,
    *,
    layers: bool = False,
    progress: Reporter = None,
) -> _verify.Verification:
    """Compares what a project computes with the integer reference, element by element, at each of the places ``on``.

    ``on``: "reference", "host", "emulator", "serial:PORT"; none: host and emulator. ``data``: a .npz with x; ``count``:
    samples at each place; ``layers``: every layer on a serial port, too. ``result.equal`` tells whether nothing differs.
    """
    source = None if data is None else Path(data)
    return _verify.verify(Path(project), list(on), source, count, reporter_of(progress), layers)


def evaluate(
    project: PathLike,
    data: PathLike,
    *,
    skip: int = 0,
    count: int | None = None,
    on: str = "reference",
    report: bool = False,
    progress: Reporter = None,
) -> Evaluation:
    """Compares a project's integer network with its float network on ``count`` samples of ``data`` after the first ``skip``.

    ``on``: where the integer network runs. ``report``: write the project's report.html anew with the figures of these
    samples, which needs the reference.
    """
    told = reporter_of(progress)
    found = _evaluate.evaluate(Path(project), Path(data), skip, count, told, on)
    if report:
        write_report(Path(project), found, Path(data).name, told)
    return found


def profile(project: PathLike, core: str | None = None, *, progress: Reporter = None) -> _profile.Profile:
    """Counts the instructions of one inference on the emulated board, or of the library alone on ``core``."""
    return _profile.profile(Path(project), reporter_of(progress), core)


def analyze(
    model: PathLike,
    calib: PathLike,
    bits: Sequence[int] = (4, 6, 8),
    count: int = 200,
    *,
    input_shapes: InputShapes | None = None,
    progress: Reporter = None,
) -> _analyze.Analysis:
    """What bit lengths, schemes and improvements do to a model, calibrated on the first ``count`` samples of ``calib``."""
    analyzed = _analyze.analyze(Path(model), Path(calib), tuple(bits), count, reporter_of(progress), input_shapes)
    return analyzed.analysis


def check(
    project: PathLike,
    against: PathLike,
    data: PathLike,
    tolerance: float = 0.0,
    *,
    write: bool = False,
    progress: Reporter = None,
) -> _check.Outcome:
    """Compares accuracy, flash, RAM and instructions with the baseline file ``against``, or with ``write`` writes it.

    ``tolerance`` in percent; ``result.worse`` has the figures that are worse.
    """
    return _check.check(Path(project), Path(against), Path(data), tolerance, write, reporter_of(progress))


def flash(project: PathLike, port: str | None = None, *, layers: bool = False, progress: Reporter = None) -> None:
    """Compiles a project and flashes it; ``layers``: the firmware that tells every layer, for ``verify(layers=True)``."""
    opened = open_project(Path(project))
    reporter_of(progress).step(f"flashing {opened.board.title}")
    projects.upload(Path(project), port, f"{opened.board.name}_layers" if layers else None)
