"""How do results reach the terminal? Results on stdout, as text or as JSON; everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ggdq_mcu.cli import READER_GONE

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ggdq_mcu.progress import Progress

_QUIET = "ggdq_mcu.quiet"
_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """The options that every command has: --json and --quiet."""
    as_json = click.option(
        "--json", "as_json", is_flag=True, help="Print JSON, for machines, and nothing else, on stdout."
    )
    quiet = click.option(
        "--quiet",
        "-q",
        is_flag=True,
        expose_value=False,
        callback=_keep_quiet,
        help="No progress and no notes on stderr.",
    )
    return quiet(as_json(command))


def shapes_option(command: _Command) -> _Command:
    """The option --input-shape of commands that read a model file."""
    return click.option(
        "--input-shape",
        "input_shapes",
        multiple=True,
        metavar="NAME=N,...",
        help="Sizes of an input that the model leaves open, with the batch: image=1,3,320,240. Only input: 1,3,320,240.",
    )(command)


def _keep_quiet(context: click.Context, _: click.Parameter, value: bool) -> None:
    context.meta[_QUIET] = value


def emit(result: Any, as_json: bool, text: Callable[[], str]) -> None:
    """Print a result: as JSON, or as the text that ``text()`` makes."""
    from ggdq_mcu.pipeline.plain import to_plain

    shown = json.dumps(to_plain(result), indent=1) if as_json else text()
    try:
        click.echo(shown)
    except BrokenPipeError:  # click would end with 1, which is kept for differences
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - what is left in the buffer goes nowhere
        sys.exit(READER_GONE)


def table(header: Sequence[str], rows: Sequence[Sequence[object]], right: str = "") -> str:
    """Columns of text; ``right`` has an r for each column that is set to the right.

    >>> print(table(["layer", "MACs"], [["conv", 12]], "lr"))
    layer  MACs
    conv     12
    """
    texts = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    align = right.ljust(len(widths), "l")
    lines = (
        "  ".join(c.rjust(w) if a == "r" else c.ljust(w) for c, w, a in zip(row, widths, align, strict=True))
        for row in texts
    )
    return "\n".join(line.rstrip() for line in lines)


def number(value: float | None, digits: int = 0, unit: str = "") -> str:
    """A number for people, thousands apart; a dash for what is not known.

    >>> number(12345), number(None), number(0.98, 1)
    ('12 345', '-', '1.0')
    """
    return "-" if value is None else f"{value:,.{digits}f}".replace(",", " ") + unit


@contextmanager
def progress() -> Iterator[Progress]:
    """Progress on stderr: a line that moves where that is a terminal, only the notes where it is not; none if quiet."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_QUIET):
        from ggdq_mcu.progress import SILENT

        yield SILENT
    elif sys.stderr.isatty():
        with _Live() as live:
            yield live
    else:
        yield _Notes()


class _Notes:
    """Notes as lines, no steps."""

    def note(self, text: str) -> None:
        click.echo(text, err=True)

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Steps are for those who watch."""


class _Live:
    """Notes as lines, and the current step below them."""

    def __enter__(self) -> _Live:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
        from rich.progress import Progress as Bars

        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
        )
        self._bars = Bars(*columns, console=Console(stderr=True), transient=True)
        self._task: TaskID | None = None
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        self._bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        if self._task is None:
            self._task = self._bars.add_task(text, total=total, completed=done)
        else:
            self._bars.update(self._task, description=text, total=total, completed=done)
