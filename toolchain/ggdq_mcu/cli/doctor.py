"""ggdq-mcu doctor: is everything there that the commands need?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._output import emit, json_option, table

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.doctor import Diagnosis


@click.command()
@json_option
def command(as_json: bool) -> int:
    """Show what is installed, what is missing, and how to get it.

    Exit code 1 if something that is needed is missing.

    \b
    Example:
      ggdq-mcu doctor
    """
    from ggdq_mcu.pipeline.doctor import diagnose

    diagnosis = diagnose()
    emit(diagnosis, as_json, lambda: _text(diagnosis))
    return 0 if diagnosis.ok else 1


def _text(diagnosis: Diagnosis) -> str:
    rows = [
        [
            "ok" if check.ok else "MISSING" if check.required else "not there",
            check.name,
            check.version or "-",
            check.used_for,
        ]
        for check in diagnosis.checks
    ]
    fixes = [f"{check.name}: {check.fix}" for check in diagnosis.checks if not check.ok]
    return "\n".join([table(["", "what", "version", "used for"], rows), *([""] if fixes else []), *fixes])
