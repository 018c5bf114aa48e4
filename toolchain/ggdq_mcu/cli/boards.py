"""ggdq-mcu boards: the boards that are known."""

from __future__ import annotations

import click

from ggdq_mcu.cli._output import emit, json_option, number, table


@click.command()
@json_option
def command(as_json: bool) -> None:
    """List the boards that a network can be built for.

    \b
    Example:
      ggdq-mcu boards
    """
    from ggdq_mcu.boards import all_boards

    boards = [
        {
            "name": board.name,
            "aliases": board.aliases,
            "title": board.title,
            "core": board.core.name,
            "flash_bytes": board.flash_bytes,
            "ram_bytes": board.ram_bytes,
            "clock_hz": board.clock_hz or None,
        }
        for board in all_boards()
    ]
    rows = [
        [b.name, ", ".join(b.aliases), b.title, b.core.name, number(b.flash_bytes), number(b.ram_bytes)]
        for b in all_boards()
    ]
    header = ["board", "alias", "what it is", "core", "flash bytes", "RAM bytes"]
    emit({"boards": boards}, as_json, lambda: table(header, rows, "llllrr"))
