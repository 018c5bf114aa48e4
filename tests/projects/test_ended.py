"""What a program leaves that is ended by a signal: the old project, no compiler at work, no folders of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ggdq_mcu import GgdqError
from ggdq_mcu.scratch import Scratch

MODEL = Path(__file__).parents[2] / "examples" / "digits.h5"
MAIN = "from ggdq_mcu.cli import main; main()"


def held(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_bytes().hex() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A project of ours."""
    out = tmp_path / "p"
    out.mkdir()
    (out / "ggdq.json").write_text("{}")
    return out


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_compiles(old: Path, number: int, local_platformio: None) -> None:
    line = [sys.executable, "-c", MAIN, "build", str(MODEL), "--out", str(old), "--board", "nucleo"]
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(old.parent.glob(".p.new/.pio")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    assert held(old) == {"ggdq.json": b"{}".hex()}
    assert [path.name for path in old.parent.iterdir()] == ["p"]


def test_scratch_folders_of_killed_programs_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("ggdq-mcu-host-abcd1234", "ggdq-mcu-mine", "other-host-abcd1234"):
        (tmp_path / name).mkdir()
    with Scratch("host") as first, Scratch("host") as second:
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {"ggdq-mcu-mine", "other-host-abcd1234", first.name, second.name}


def test_no_room_for_scratch_folders_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(GgdqError, match="no temporary folder: No such file"):
        Scratch("host")
