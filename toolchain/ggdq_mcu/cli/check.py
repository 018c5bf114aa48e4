"""ggdq-mcu check: has a network got worse than its baseline?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli import MISMATCH
from ggdq_mcu.cli._output import emit, json_option, number, progress, table

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.check import Outcome


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--against", required=True, type=click.Path(path_type=Path), metavar="FILE", help="The baseline, a JSON file."
)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="F",
    help="Samples for the accuracy, .npz with x and y.",
)
@click.option(
    "--tolerance",
    type=click.FloatRange(0, 100),
    default=0,
    show_default=True,
    metavar="PERCENT",
    help="What may be lost: percent of flash, RAM and instructions, percentage points of accuracy.",
)
@click.option("--write", is_flag=True, help="Write the baseline instead.")
@click.option(
    "--trust", is_flag=True, help="No note where the project, whose code is run, was not made on this machine."
)
@json_option
def command(folder: Path, against: Path, data: Path, tolerance: float, write: bool, trust: bool, as_json: bool) -> int:
    """Compare accuracy, flash, RAM and instructions of project DIR with a baseline.

    Exit code 1 if any of them is worse.

    \b
    Examples:
      ggdq-mcu check model-nucleo_f446re --against baseline.json --data test.npz --write
      ggdq-mcu check model-nucleo_f446re --against baseline.json --data test.npz --tolerance 1
    """
    from ggdq_mcu.pipeline.check import check

    with progress() as reporter:
        outcome = check(folder, against, data, tolerance, write, reporter, trust)
    emit(outcome, as_json, lambda: _text(outcome))
    return MISMATCH if outcome.worse else 0


def _text(outcome: Outcome) -> str:
    worse = {figure.name for figure in outcome.worse}
    rows = []
    for name, now in vars(outcome.now).items():
        digits = 4 if isinstance(now, float) else 0
        before = number(getattr(outcome.baseline, name), digits)
        rows.append([name, before, number(now, digits), "WORSE" if name in worse else ""])
    return table(["figure", "baseline", "now", ""], rows, "lrrl")
