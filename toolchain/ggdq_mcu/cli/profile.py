"""ggdq-mcu profile: executed instructions, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._output import emit, json_option, number, progress, table

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.profile import Profile


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Count the instructions that one inference of project DIR executes on the emulated board.

    \b
    Example:
      ggdq-mcu profile model-nucleo_f446re
    """
    from ggdq_mcu.pipeline.profile import profile

    with progress() as reporter:
        result = profile(folder, reporter)
    emit(result, as_json, lambda: _text(result))


def _text(result: Profile) -> str:
    rows = [
        [layer.name, number(layer.macs), number(layer.instructions), _per_mac(layer.instructions, layer.macs)]
        for layer in result.layers
    ]
    rows.append(
        [
            "whole network",
            number(result.macs),
            number(result.instructions),
            _per_mac(result.instructions, result.macs),
        ]
    )
    header = ["layer", "MACs", "instructions", "per MAC"]
    return f"executed instructions of one inference, {result.core}\n\n" + table(header, rows, "lrrr")


def _per_mac(instructions: int, macs: int) -> str:
    return f"{instructions / macs:.2f}" if macs else "-"
