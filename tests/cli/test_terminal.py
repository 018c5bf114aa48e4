"""What the terminal says: suggestions, silence, completion."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ggdq_mcu.cli import group


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
