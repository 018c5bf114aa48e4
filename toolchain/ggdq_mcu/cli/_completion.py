"""Which values does a shell offer after an option?"""

from __future__ import annotations

import click


def board_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names and aliases of the boards that ship with the package."""
    from ggdq_mcu.boards import all_boards

    names = {name for board in all_boards() for name in (board.name, *board.aliases)}
    return sorted(name for name in names if name.startswith(incomplete))


def scheme_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the schemes for steps."""
    from ggdq_mcu.quantization.schemes import SCHEMES

    return [name for name in SCHEMES if name.startswith(incomplete)]


def core_names(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of the cores."""
    from ggdq_mcu.boards import CORES

    return sorted(name for name in CORES if name.startswith(incomplete))
