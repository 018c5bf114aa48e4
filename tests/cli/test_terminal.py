"""What the terminal says: suggestions, silence, completion."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ggdq_mcu.cli import group
from ggdq_mcu.cli.build import _text
from ggdq_mcu.describe.description import LayerInfo, describe_model
from ggdq_mcu.importers import load
from ggdq_mcu.pipeline.quantized_project import Built


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["buld"], "Did you mean build?"),
        (["verfy", "x"], "Did you mean verify?"),
        (["build", "m.h5", "--boards", "nucleo"], "--board"),
        (["xyzzy"], "Known: analyze, boards, build"),
    ],
)
def test_what_was_meant_is_suggested(cli: Any, typed: list[str], meant: str) -> None:
    outcome = cli(*typed)
    assert (outcome.code, outcome.out) == (2, "")
    assert meant in outcome.err
    assert outcome.err.count("\n") == 1


def test_an_unknown_scheme_board_or_goal_names_what_is_known(cli: Any, examples: Path, tmp_path: Path) -> None:
    for option, value, known in (
        ("--scheme", "gdd", "ggd"),
        ("--board", "nucleo_f446", "nucleo_f446re"),
        ("--goal", "sped", "speed"),
    ):
        options = {"--board": "host", "--out": str(tmp_path / "p")} | {option: value}
        outcome = cli("build", examples / "digits.h5", *(part for pair in options.items() for part in pair))
        assert outcome.code == 2
        assert known in outcome.err


def test_quiet_is_silent_but_for_the_result_and_errors(cli: Any, examples: Path, tmp_path: Path) -> None:
    options = "--board", "host", "--out", tmp_path / "p", "--no-compile"
    assert cli("build", examples / "digits.h5", *options).err != ""
    quiet = cli("build", examples / "digits.h5", *options, "--quiet")
    assert (quiet.code, quiet.err) == (0, "")
    assert "arena" in quiet.out
    assert "no such file" in cli("build", tmp_path / "absent.h5", *options, "--quiet").err


def test_every_command_can_be_quiet(cli: Any) -> None:
    for command in group.list_commands(None):  # type: ignore[arg-type]
        assert "--quiet" in cli(command, "--help").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_given_their_completion(shell: str) -> None:
    environment = {**os.environ, "_GGDQ_MCU_COMPLETE": f"{shell}_source"}
    line = [sys.executable, "-c", "from ggdq_mcu.cli import main; main()"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert "ggdq-mcu" in done.stdout


def test_commands_are_completed() -> None:
    environment = {**os.environ, "_GGDQ_MCU_COMPLETE": "bash_complete", "COMP_WORDS": "ggdq-mcu ver", "COMP_CWORD": "1"}
    line = [sys.executable, "-c", "from ggdq_mcu.cli import main; main()"]
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["plain,verify"]


def test_progress_moves_on_a_terminal_and_results_have_no_colours(examples: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    line = [sys.executable, "-c", "from ggdq_mcu.cli import main; main()", "build", str(examples / "digits.h5")]
    line += ["--board", "host", "--out", str(tmp_path / "p"), "--no-compile"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=theirs, env=environment, text=True) as process:
        os.close(theirs)
        shown = b""
        while part := _read(ours):
            shown += part
        assert process.stdout is not None
        result = process.stdout.read()
    os.close(ours)
    assert process.returncode == 0
    assert b"quantizing" in shown
    assert b"\x1b[" in shown
    assert shown.rstrip().endswith(b"\x1b[2K")  # the moving line is gone at the end
    assert "\x1b" not in result


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux says so where the other side is closed
        return b""


def test_the_summary_of_any_build_fits_a_screen(examples: Path) -> None:
    known = describe_model(load(examples / "digits.h5"))
    layers = tuple(LayerInfo(f"layer_{i}", "Dense", "Dense", 1000 + i % 7, (3,), "u8", 0.5, 8) for i in range(100))
    sizes = dict.fromkeys(("arena_bytes", "weights_bytes", "code_bytes", "flash_bytes", "ram_bytes", "stack_bytes"), 1)
    text = _text(Built(Path("p"), replace(known, layers=layers, firmware="p/firmware.elf", **sizes)))
    assert len(text.splitlines()) <= 24
    assert "and 95 layers of less work: ggdq-mcu inspect p" in text
    assert "layer_6 " in text
    assert "layer_5 " not in text
