"""ggdq-mcu verify: the C against the integer reference, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli import MISMATCH
from ggdq_mcu.cli._output import emit, json_option, number, progress, table

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.verify import Comparison, Verification


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--on",
    metavar="PLACES",
    help="Where to run: reference, host, emulator, serial:PORT, serial:PORT@BAUD, commas between  [default: host,emulator]",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Samples, .npz with x. Without: those in the project, then extremes and random inputs.",
)
@click.option(
    "--count",
    type=click.IntRange(1),
    metavar="N",
    help="Samples at each place  [default: 100 on the host, 10 elsewhere]",
)
@click.option("--layers", is_flag=True, help="Every layer on a serial port too: after ggdq-mcu flash DIR --layers.")
@click.option(
    "--trust", is_flag=True, help="No note where the project, whose code is run, was not made on this machine."
)
@json_option
def command(
    folder: Path, on: str | None, data: Path | None, count: int | None, layers: bool, trust: bool, as_json: bool
) -> int:
    """Compare what project DIR computes with the integer reference, element by element.

    Exit code 1 if anything differs: the first differing layer and element are told, with both values.

    \b
    Examples:
      ggdq-mcu verify model-nucleo_f446re
      ggdq-mcu verify model-nucleo_f446re --on host,emulator --data test.npz --count 50
      ggdq-mcu verify model-nucleo_f446re --on serial:/dev/ttyACM0 --layers
    """
    from ggdq_mcu.pipeline.verify import verify

    places = [place.strip() for place in on.split(",")] if on else []
    with progress() as reporter:
        verification = verify(folder, places, data, count, reporter, layers, trust)
        for place, comparison in verification.backends.items():
            if comparison.first:
                reporter.note(f"{place}: {_difference(comparison)}")
    emit(verification, as_json, lambda: _text(verification))
    return 0 if verification.equal else MISMATCH


def _difference(comparison: Comparison) -> str:
    first = comparison.first
    assert first is not None
    return (
        f"first difference in layer {first.layer!r}, element {first.element} of sample {first.sample}: "
        f"the reference has {first.expected}, it has {first.actual}"
    )


def _text(verification: Verification) -> str:
    rows = [
        [
            place,
            c.samples,
            number(c.elements),
            number(c.mismatches),
            "differs" if c.mismatches else "equal to the bit",
        ]
        for place, c in verification.backends.items()
    ]
    return table(["place", "samples", "elements", "differences", ""], rows, "lrrrl")
