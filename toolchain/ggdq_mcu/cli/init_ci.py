"""ggdq-mcu init-ci: the user's CI builds, verifies and guards the firmware."""

from __future__ import annotations

from pathlib import Path

import click

from ggdq_mcu.cli._output import emit, json_option


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--board", required=True, help="Board name or alias, or a board's JSON file.")
@click.option("--data", required=True, type=click.Path(path_type=Path), metavar="F", help="Samples to test with, .npz.")
@click.option("--calib", type=click.Path(path_type=Path), metavar="F", help="Calibration samples, .npz.")
@click.option(
    "--repository",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    metavar="DIR",
    help="Folder of the repository; paths are relative to it.",
)
@click.option(
    "--install",
    default="",
    metavar="WHAT",
    help="What pip installs: a wheel in the repository, or an address (git+https://...)  [default: this version]",
)
@json_option
def command(
    model: Path, board: str, data: Path, calib: Path | None, repository: Path, install: str, as_json: bool
) -> None:
    """Write CI files for GitHub and GitLab that build MODEL, verify it, and check that it gets no worse.

    \b
    Example:
      ggdq-mcu init-ci models/kws.h5 --board nucleo --data models/test.npz
      ggdq-mcu init-ci kws.onnx --board nucleo --data test.npz --install wheels/ggdq_mcu-0.1.0-py3-none-any.whl
    """
    from ggdq_mcu.pipeline.continuous import init_ci

    result = init_ci(repository, model, board, data, calib, install)
    lines = [*(f"written: {path}" for path in result.files), "make the baseline, and commit it:"]
    emit(result, as_json, lambda: "\n".join([*lines, *(f"    {line}" for line in result.commands)]))
