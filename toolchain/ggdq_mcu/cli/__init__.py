"""What does a person type? One file a command; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from typing import NoReturn, TextIO

import click

from ggdq_mcu.cli._signals import ended_by_signals
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.version import __version__

PROGRAM = "ggdq-mcu"
MISMATCH, ERROR, INTERNAL, INTERRUPTED, READER_GONE = 1, 2, 3, 130, 141


class _Commands(click.Group):
    """Its commands are the modules of this package: a file NAME.py with a ``command`` in it is one, _ typed as -."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = (module.name for module in pkgutil.iter_modules(__path__))
        return sorted(name.replace("_", "-") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = self.list_commands(ctx)
        if cmd_name not in known:
            near = get_close_matches(cmd_name, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
            raise click.UsageError(f"No such command {cmd_name!r}. {hint}", ctx)
        command: click.Command = importlib.import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name=PROGRAM)
def group() -> None:
    """Puts trained convolutional networks on microcontrollers: quantized, as C, checked to the bit.

    \b
    ggdq-mcu build model.h5 --board nucleo     quantize, write the firmware project, compile
    ggdq-mcu verify model-nucleo_f446re        compare every layer with the integer reference
    ggdq-mcu evaluate DIR --data test.npz      accuracy and SQNR against the float network

    Exit codes: 0 done; 1 a check found a difference; 2 an error, told in one line; 3 an internal error.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Entry point: runs a command, prints an error as one line, and ends the process with the exit code."""
    try:
        with ended_by_signals():
            code = group.main(arguments, PROGRAM, standalone_mode=False)
            sys.stdout.flush()
    except GgdqError as error:
        _fail(str(error))
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else PROGRAM
        boards = " (ggdq-mcu boards lists them)" if "'--board'" in error.format_message() else ""
        _fail(f"{' '.join(error.format_message().split())}{boards} See {path} --help.")
    except click.ClickException as error:
        _fail(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo(f"{PROGRAM}: interrupted", err=True)
        sys.exit(INTERRUPTED)
    except OSError as error:
        _system_error(error)
    except MemoryError:
        _fail("there is not enough memory for this")
    except Exception as error:
        _internal_error(error)
    sys.exit(code if isinstance(code, int) else 0)


def _system_error(error: OSError) -> NoReturn:
    """Ends with what the system refused: a full device, a folder that may not be written."""
    if not _can_write(sys.stdout):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - what is left in the buffer goes nowhere
    where = f"{error.filename}: " if error.filename is not None else ""
    _fail(f"{where}{error.strerror or error}")


def _can_write(stream: TextIO) -> bool:
    try:
        stream.flush()
    except OSError:
        return False
    return True


def _internal_error(error: Exception) -> NoReturn:
    """Ends with the traceback of a fault of this program, and what to send."""
    traceback.print_exception(error)
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    line = f"{PROGRAM}: internal error: {what}; please report it with the lines above, the command, "
    click.echo(line + f"the model and the output of {PROGRAM} doctor (version {__version__})", err=True)
    sys.exit(INTERNAL)


def _fail(line: str) -> NoReturn:
    click.echo(f"{PROGRAM}: error: {line}", err=True)
    sys.exit(ERROR)
