"""ggdq-mcu flash: the firmware goes onto the board."""

from __future__ import annotations

from pathlib import Path

import click

from ggdq_mcu.cli._output import emit, json_option, progress


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--port", metavar="PORT", help="Where the board is; without, PlatformIO finds it.")
@click.option("--layers", is_flag=True, help="The firmware that tells every layer's output: for verify --layers.")
@click.option(
    "--trust", is_flag=True, help="No note where the project, whose code is run, was not made on this machine."
)
@json_option
def command(folder: Path, port: str | None, layers: bool, trust: bool, as_json: bool) -> None:
    """Compile project DIR and flash it (pio run -t upload).

    \b
    Example:
      ggdq-mcu flash model-nucleo_f446re
    """
    from ggdq_mcu import projects
    from ggdq_mcu.pipeline.project import open_project, warn_of_strangers

    project = open_project(folder)
    with progress() as reporter:
        warn_of_strangers(project, trust, reporter)
        reporter.step(f"flashing {project.board.title}")
        projects.upload(folder, port, f"{project.board.name}_layers" if layers else None)
    result = {"project": folder, "board": project.board.name, "flashed": True}
    emit(
        result,
        as_json,
        lambda: f"{folder} is on the {project.board.title}; check it: ggdq-mcu verify {folder} --on serial:PORT",
    )
