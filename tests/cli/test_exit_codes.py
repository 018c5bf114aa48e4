"""What the program ends with where the system fails it, and where it fails itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ggdq_mcu.pipeline import doctor

LINE = [sys.executable, "-c", "from ggdq_mcu.cli import main; main()"]


def test_a_fault_of_the_program_is_an_internal_error(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr(doctor, "diagnose", fault)
    outcome = cli("doctor")
    assert (outcome.code, outcome.out) == (3, "")
    assert "Traceback" in outcome.err
    last = outcome.err.splitlines()[-1]
    assert "internal error: IndexError: list index out of range; please report it" in last


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), "not enough memory"),
        (OSError(30, "Read-only file system", "x/report.html"), "x/report.html: Read-only file system"),
    ],
)
def test_what_the_system_refuses_is_one_line(
    cli: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(doctor, "diagnose", refuse)
    outcome = cli("doctor")
    assert outcome.code == 2
    assert told in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_device_for_the_results_is_one_line() -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([*LINE, "boards"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "ggdq-mcu: error: No space left on device\n"


def test_a_reader_that_is_gone_is_no_error() -> None:
    with subprocess.Popen([*LINE, "boards"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 141
