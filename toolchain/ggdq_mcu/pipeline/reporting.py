"""How does a finished project's report come to show other samples than those of its build?"""

from __future__ import annotations

import secrets
from pathlib import Path

from ggdq_mcu.describe.evaluation import Evaluation
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.live import live_network, project_sources
from ggdq_mcu.pipeline.profile import profile
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.report.html import REPORT, report


def write_report(folder: Path, quality: Evaluation, measured_on: str, progress: Progress = SILENT) -> Path:
    """Writes the report of the project in ``folder`` anew, whole or not at all; its path.

    ``quality`` was measured on samples of ``measured_on``, a file's name. Where the firmware is compiled and its board can
    be emulated, instructions are counted and cycles estimated.
    """
    project = open_project(folder)
    description = project.described()
    compiled = project.firmware() is not None
    counted = compiled and project.board.uart is not None and project.board.core.unicorn
    runs = None
    if compiled:
        sources = project_sources(folder, description.name)
        runs = live_network(
            sources, description.name, project.float_network, project.network, project.samples(), progress
        )
    page = report(
        description,
        project.step or project.network,
        quality,
        project.levels(),
        f"samples of {measured_on}",
        board=project.board,
        live=runs,
        profile=profile(folder, progress) if counted else None,
    )
    path = folder / REPORT
    fresh = folder / f".{REPORT}.{secrets.token_hex(4)}"
    try:
        fresh.write_text(page, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise GgdqError(f"cannot be written ({error.strerror})", str(path)) from error
    finally:
        fresh.unlink(missing_ok=True)
    return path
