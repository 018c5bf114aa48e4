"""How does a finished project's report come to show other samples than those of its build?"""

from __future__ import annotations

import secrets
from pathlib import Path

from ggdq_mcu.describe.evaluation import Evaluation
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.report.html import REPORT, report


def write_report(folder: Path, quality: Evaluation, measured_on: str) -> Path:
    """Writes the report of the project in ``folder`` anew, whole or not at all; its path.

    ``quality`` was measured on samples of ``measured_on``, a file's name.
    """
    project = open_project(folder)
    page = report(
        project.described(), project.step or project.network, quality, project.levels(), f"samples of {measured_on}"
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
