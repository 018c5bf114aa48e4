"""Has a network got worse: less accurate, larger, slower than a baseline that was written down?"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

from ggdq_mcu import schema
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.evaluate import evaluate
from ggdq_mcu.pipeline.places import compiled_firmware
from ggdq_mcu.pipeline.plain import to_plain
from ggdq_mcu.pipeline.profile import profile
from ggdq_mcu.pipeline.project import open_project, warn_of_strangers
from ggdq_mcu.progress import SILENT, Progress


@dataclass(frozen=True)
class Figures:
    """What is kept; None is not known: no labels, no classes, no board, no emulator that counts.

    ``accuracy`` and ``agreement`` are fractions, ``instructions`` those of one inference.
    """

    accuracy: float | None
    agreement: float | None
    flash_bytes: int | None
    ram_bytes: int | None
    instructions: int | None


@dataclass(frozen=True)
class Worse:
    """A figure that got worse."""

    name: str
    baseline: float
    now: float


@dataclass(frozen=True)
class Outcome:
    """The figures now, those of the baseline, and what got worse; ``written``: now they are the baseline."""

    now: Figures
    baseline: Figures
    worse: tuple[Worse, ...]
    written: bool


_MORE_IS_BETTER = ("accuracy", "agreement")


def check(
    folder: Path,
    baseline: Path,
    data: Path,
    tolerance: float = 0.0,
    write: bool = False,
    progress: Progress = SILENT,
    trust: bool = False,
) -> Outcome:
    """Measures the project in ``folder`` and compares with the file ``baseline``, or with ``write`` writes it.

    ``tolerance``, in percent: by how much sizes and instructions may grow, and by how many percentage points
    accuracy and agreement may fall.
    """
    before = None if write else _read(baseline)
    warn_of_strangers(open_project(folder), trust, progress)
    now = measure(folder, data, progress)
    if before is None:
        try:
            baseline.write_text(json.dumps(to_plain(now), indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise GgdqError(f"cannot write the baseline ({error.strerror})", str(baseline)) from error
        return Outcome(now, now, (), True)
    return Outcome(now, before, compare(before, now, tolerance), False)


def measure(folder: Path, data: Path, progress: Progress = SILENT) -> Figures:
    """The figures of a project, which is compiled where it is not."""
    project = open_project(folder)
    quality = evaluate(folder, data, progress=progress)
    firmware = None if project.board.is_host else compiled_firmware(project, progress)
    counted = project.board.uart is not None and project.board.core.unicorn
    return Figures(
        accuracy=quality.accuracy,
        agreement=quality.agreement,
        flash_bytes=firmware.flash if firmware else None,
        ram_bytes=firmware.ram if firmware else None,
        instructions=profile(folder, progress).instructions if counted else None,
    )


def compare(before: Figures, now: Figures, tolerance: float) -> tuple[Worse, ...]:
    """The figures that are worse by more than ``tolerance`` percent; those that were not known are left out."""
    worse = []
    for field in fields(Figures):
        old, new = getattr(before, field.name), getattr(now, field.name)
        if old is None:
            continue
        if new is None:
            raise GgdqError(f"{field.name} is in the baseline and cannot be measured now", fix="write it anew: --write")
        fallen = old - new > tolerance / 100 + 1e-12
        grown = new > old * (1 + tolerance / 100)
        if fallen if field.name in _MORE_IS_BETTER else grown:
            worse.append(Worse(field.name, old, new))
    return tuple(worse)


def _read(path: Path) -> Figures:
    return schema.read_file(path, Figures, "a baseline", "write it: ggdq-mcu check DIR --against FILE --data F --write")
