"""ggdq-mcu inspect: what is in a model file or in a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._output import emit, json_option
from ggdq_mcu.cli._text import layers_text, sizes_text

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.description import Description


@click.command()
@click.argument("path", metavar="DIR-or-MODEL", type=click.Path(path_type=Path))
@json_option
def command(path: Path, as_json: bool) -> None:
    """Show the layers, formats and sizes of a project DIR, or the layers of a MODEL file.

    \b
    Examples:
      ggdq-mcu inspect model.h5
      ggdq-mcu inspect model-nucleo_f446re --json
    """
    from ggdq_mcu.pipeline.inspecting import inspect

    description = inspect(path)
    emit(description, as_json, lambda: _text(description))


def _text(description: Description) -> str:
    lines = [f"network {description.name}"]
    if description.board:
        lines.append(f"for {description.board} ({description.core}), goal {description.goal}")
        lines.append(f"steps by {description.scheme}, {description.calibration}")
    for kind, tensors in (("input", description.inputs), ("output", description.outputs)):
        for tensor in tensors:
            shape = "x".join(map(str, tensor.shape))
            meaning = (
                "" if tensor.type == "float32" else f", real value = {tensor.step:.8g} * (q - {tensor.zero_point})"
            )
            lines.append(f"{kind} {tensor.name}: {shape} {tensor.type}{meaning}")
    return "\n".join([*lines, "", layers_text(description), "", sizes_text(description)])
