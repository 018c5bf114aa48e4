"""ggdq-mcu evaluate: accuracy and SQNR of a project's network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._output import emit, json_option, number, progress, table
from ggdq_mcu.cli._text import quality_lines
from ggdq_mcu.errors import GgdqError

if TYPE_CHECKING:
    from ggdq_mcu.describe.evaluation import Evaluation


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    metavar="F",
    help="Samples, .npz with x (N first) and, for the accuracy, y.",
)
@click.option("--skip", type=click.IntRange(0), default=0, metavar="N", help="Leave out the first N samples.")
@click.option("--count", type=click.IntRange(1), metavar="N", help="Use N samples only.")
@click.option(
    "--on",
    default="reference",
    show_default=True,
    metavar="PLACE",
    help="Where the integer network runs: reference (SQNR too), host, emulator, serial:PORT.",
)
@click.option("--report", is_flag=True, help="Write the project's report.html anew, with what these samples show.")
@json_option
def command(folder: Path, data: Path, skip: int, count: int | None, on: str, report: bool, as_json: bool) -> None:
    """Compare the integer network of project DIR with the float network it was made from.

    \b
    Examples:
      ggdq-mcu evaluate model-nucleo_f446re --data test.npz
      ggdq-mcu evaluate model-nucleo_f446re --data all.npz --skip 100 --json
      ggdq-mcu evaluate model-nucleo_f446re --data test.npz --report
      ggdq-mcu evaluate model-nucleo_f446re --data test.npz --on serial:/dev/ttyACM0
    """
    from ggdq_mcu.pipeline.evaluate import evaluate

    if report and on != "reference":
        raise GgdqError(f"the report needs every layer, which {on} does not tell", "--report", "leave out --on")
    with progress() as reporter:
        evaluation = evaluate(folder, data, skip, count, reporter, on)
        if report:
            from ggdq_mcu.pipeline.reporting import write_report

            write_report(folder, evaluation, data.name, reporter)
    emit(evaluation, as_json, lambda: _text(evaluation))


def _text(evaluation: Evaluation) -> str:
    lines = [f"samples: {evaluation.samples}", *quality_lines(evaluation)]
    layers = [[layer.name, number(layer.sqnr_db, 1)] for layer in evaluation.layers]
    if not layers:
        return "\n".join(lines)
    return "\n".join([*lines, "", table(["layer", "SQNR in dB"], layers, "lr")])
