"""ggdq-mcu profile: executed instructions and estimated cycles, layer by layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ggdq_mcu.cli._completion import core_names
from ggdq_mcu.cli._output import emit, json_option, number, progress, table
from ggdq_mcu.cli._text import stages_text

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.profile import LayerProfile, Profile, StreamProfile


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--core",
    metavar="CORE",
    shell_complete=core_names,
    help="On this core instead of the board's, the library alone, like rv32imc.",
)
@json_option
def command(folder: Path, core: str | None, as_json: bool) -> None:
    """Count the instructions that one inference of project DIR executes on the emulated board.

    Cycles are an estimate: the core's instruction timings, and the misses of the caches in front of the board's flash.

    \b
    Examples:
      ggdq-mcu profile model-nucleo_f446re
      ggdq-mcu profile model-nucleo_f446re --core cortex-m0plus
    """
    from ggdq_mcu.pipeline.profile import profile

    with progress() as reporter:
        result = profile(folder, reporter, core)
    emit(result, as_json, lambda: _text(result))


def _text(result: Profile) -> str:
    cycles = result.cycles_estimate is not None
    header = ["layer", "MACs", "instructions", "per MAC", *(["cycles (estimate)"] if cycles else []), "share"]
    rows = [_row(layer.name, layer, layer.share) for layer in result.layers]
    rows.append(_row("whole network" if result.stream is None else "a step", result, 1.0))
    what = "one inference" if result.stream is None else "a step of the stream"
    lines = [f"executed instructions of {what}, {result.core}", "", table(header, rows, "lrrr" + "r" * (1 + cycles))]
    if result.cycles_rule is not None:
        memory = f"flash: {result.flash_model}" if result.flash_model else "memory without wait states"
        lines += ["", f"cycles are an estimate: {result.cycles_rule}; {memory}"]
    if result.milliseconds_estimate is not None:
        lines.append(f"about {result.milliseconds_estimate:.2f} ms at the clock of {result.board}, by that estimate")
    if result.stream is not None:
        lines += ["", *_of_stream(result.stream)]
    if result.stages:
        lines += ["", stages_text(result.stages)]
    return "\n".join(lines)


def _of_stream(stream: StreamProfile) -> list[str]:
    lines = [
        f"a frame, on average of steps of {stream.hop} frames: {number(round(stream.frame))}",
        f"the frame that takes most: {number(stream.largest)}",
    ]
    if stream.window is not None:
        times = stream.window / (stream.frame * stream.hop)
        lines.append(f"the network on a whole window: {number(stream.window)}, {times:.1f} times a step")
    return lines


def _row(name: str, figures: LayerProfile | Profile, share: float) -> list[str]:
    per_mac = figures.instructions_per_mac
    cycles = figures.cycles_estimate
    return [
        name,
        number(figures.macs),
        number(figures.instructions),
        f"{per_mac:.2f}" if per_mac is not None else "-",
        *([number(cycles)] if cycles is not None else []),
        f"{share:.1%}",
    ]
