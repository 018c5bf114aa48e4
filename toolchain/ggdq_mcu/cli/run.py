"""ggdq-mcu run: a project's network on recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._output import emit, json_option, progress, table

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.run import Run


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--wav",
    required=True,
    type=click.Path(path_type=Path),
    metavar="F",
    help="A recording (PCM, one channel, 16 bits), or a folder of them in sub-folders named by class.",
)
@click.option("--labels", default="", metavar="A,B,...", help="Names of the classes, in order  [default: numbers]")
@click.option("--threshold", type=float, default=0.5, show_default=True, help="Least score of a class that is heard.")
@click.option(
    "--refractory",
    type=float,
    default=1.0,
    show_default=True,
    metavar="S",
    help="Seconds from one decision to the next.",
)
@json_option
def command(folder: Path, wav: Path, labels: str, threshold: float, refractory: float, as_json: bool) -> None:
    """Play recordings to the network of project DIR, which takes sound, and print what it hears and when.

    The C of the project runs on this computer; its integers are those of the board. Of folders named by class: confusion,
    misses, and false alarms by the hour.

    \b
    Examples:
      ggdq-mcu run okay_nabu-nucleo_f446re --wav kitchen.wav --threshold 0.9
      ggdq-mcu run kws-nucleo_f446re --wav recordings/ --labels yes,no,noise
    """
    from ggdq_mcu.pipeline.run import run

    names = [name.strip() for name in labels.split(",")] if labels else []
    with progress() as reporter:
        found = run(folder, wav, names, threshold, refractory, reporter)
    emit(found, as_json, lambda: _text(found))


def _text(found: Run) -> str:
    rows = [
        [Path(one.file).name, f"{decision.seconds:.2f}", decision.label, f"{decision.score:.3f}"]
        for one in found.recordings
        for decision in one.decisions
    ]
    silent = [[Path(one.file).name, "", "-", ""] for one in found.recordings if not one.decisions]
    lines = [table(["recording", "seconds", "heard", "score"], [*rows, *silent], "lrlr")]
    if found.confusion:
        kinds = sorted({kind for row in found.confusion.values() for kind in row})
        cells = [[name, *(row.get(kind, 0) for kind in kinds)] for name, row in sorted(found.confusion.items())]
        lines += ["", table(["is \\ heard as", *kinds], cells, "l" + "r" * len(kinds))]
        lines.append(f"misses: {found.misses}; false alarms an hour: {found.false_alarms_per_hour or 0:.1f}")
    return "\n".join(lines)
