"""ggdq-mcu inspect: what is in a model file or in a project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli import ERROR
from ggdq_mcu.cli._output import emit, json_option, number, shapes_option, table
from ggdq_mcu.cli._text import kernels_text, layers_text, scaling, sizes_text, stages_text

if TYPE_CHECKING:
    from ggdq_mcu.describe.description import Description
    from ggdq_mcu.pipeline.inspecting import Unbuildable


@click.command()
@click.argument("path", metavar="DIR-or-MODEL", type=click.Path(path_type=Path))
@click.option("--memory", is_flag=True, help="Also the arena over time, and the flash of each generated function.")
@click.option("--svg", type=click.Path(path_type=Path), metavar="F", help="Write the arena over time as a picture.")
@shapes_option
@json_option
def command(path: Path, memory: bool, svg: Path | None, input_shapes: tuple[str, ...], as_json: bool) -> None:
    """Show the layers, formats and sizes of a project DIR, or the layers of a MODEL file.

    Of a MODEL that cannot be built: all that is in the way, with exit code 2.

    \b
    Examples:
      ggdq-mcu inspect model.h5
      ggdq-mcu inspect model-nucleo_f446re --json
      ggdq-mcu inspect model-nucleo_f446re --memory --svg arena.svg
    """
    from ggdq_mcu.importers.shapes import parse_shapes
    from ggdq_mcu.pipeline.inspecting import Unbuildable, inspect, write_picture

    description = inspect(path, parse_shapes(input_shapes))
    if isinstance(description, Unbuildable):
        found = description
        emit(found, as_json, lambda: _problems(found))
        click.get_current_context().exit(ERROR)
    if svg is not None:
        write_picture(description, svg)
    emit(description, as_json, lambda: _text(description) + (f"\n\n{_memory(description)}" if memory else ""))


def _problems(found: Unbuildable) -> str:
    lines = [f"{found.model} cannot be built:"]
    for problem in found.problems:
        where = f"{problem.layer}: " if problem.layer else ""
        lines.append(f"  {where}{problem.reason}" + (f"; {problem.fix}" if problem.fix else ""))
    return "\n".join(lines)


def _memory(description: Description) -> str:
    from ggdq_mcu.describe.memory import function_bytes, ram_text

    rows = list(function_bytes(Path(description.firmware)).items()) if description.firmware else []
    functions = table(["function", "flash"], [[name, number(size)] for name, size in rows], "lr")
    return ram_text(description) + (f"\n\n{functions}" if rows else "")


def _text(description: Description) -> str:
    lines = [f"network {description.name}"]
    if description.board:
        lines.append(f"for {description.board} ({description.core}), goal {description.goal}")
        lines.append(f"steps by {description.scheme}, {description.calibration}")
        if "bit_lengths" in description.source:
            lines.append(f"bit lengths {description.source['bit_lengths']}")
    for kind, tensors in (("input", description.inputs), ("output", description.outputs)):
        for tensor in tensors:
            shape = "x".join(map(str, tensor.shape))
            meaning = "" if tensor.type == "float32" else f", real value = {scaling(tensor)}"
            lines.append(f"{kind} {tensor.name}: {shape} {tensor.type}{meaning}")
    tuned = kernels_text(description)
    strips = stages_text(description.stages)
    parts = [layers_text(description), *(text for text in (strips, tuned) if text), sizes_text(description)]
    return "\n\n".join(["\n".join(lines), *parts])
