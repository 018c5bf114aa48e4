"""How do results reach the terminal? Results on stdout, as text or as JSON; everything else on stderr."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ggdq_mcu.cli import READER_GONE

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ggdq_mcu.progress import Progress

_QUIET, _VERBOSE = "ggdq_mcu.quiet", "ggdq_mcu.verbose"
_NARROWEST = 8  # columns of a text in a table that was cut
_Command = TypeVar("_Command", bound=Callable[..., Any])


def json_option(command: _Command) -> _Command:
    """The options that every command has: --json, --quiet and --verbose."""
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
    verbose = click.option(
        "--verbose",
        "-v",
        count=True,
        expose_value=False,
        callback=_be_verbose,
        help="Each step as a line on stderr, with the seconds so far; -vv: its parts, too.",
    )
    return verbose(quiet(as_json(command)))


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


def _be_verbose(context: click.Context, _: click.Parameter, value: int) -> None:
    context.meta[_VERBOSE] = value


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
    if sys.stdout.isatty():
        widths = _narrowed(widths, align, shutil.get_terminal_size().columns)
    lines = [
        "  ".join(c.rjust(w) if a == "r" else _cut(c, w).ljust(w) for c, w, a in zip(row, widths, align, strict=True))
        for row in texts
    ]
    heading = click.style(lines[0].rstrip(), bold=True) if sys.stdout.isatty() else lines[0].rstrip()
    return "\n".join([heading, *(line.rstrip() for line in lines[1:])])


def _narrowed(widths: Sequence[int], align: str, columns: int) -> list[int]:
    """Widths with which a table fits a terminal of so many columns: its widest texts are cut, its numbers never.

    >>> _narrowed([30, 12, 6], "llr", 40)
    [18, 12, 6]
    """
    fitting = list(widths)
    while sum(fitting) + 2 * (len(fitting) - 1) > columns:
        texts = [index for index, kind in enumerate(align) if kind != "r" and fitting[index] > _NARROWEST]
        if not texts:
            break
        fitting[max(texts, key=lambda index: fitting[index])] -= 1
    return fitting


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


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
    elif context is not None and context.meta.get(_VERBOSE):
        yield _Lines(parts=context.meta[_VERBOSE] > 1)
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


class _Lines:
    """Notes and steps as lines, with the seconds since the start; ``parts``: how far a step is, too."""

    def __init__(self, parts: bool) -> None:
        self._start, self._last, self._parts = monotonic(), "", parts

    def note(self, text: str) -> None:
        click.echo(text, err=True)

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        line = f"{text} {done}/{total}" if self._parts and total else text
        if line != self._last:
            click.echo(f"{monotonic() - self._start:7.2f} s  {line}", err=True)
        self._last = line


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
