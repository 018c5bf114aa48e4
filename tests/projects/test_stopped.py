"""A build that is stopped, wherever it is: the folder holds the old project or the new one, never anything between."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ggdq_mcu import GgdqError
from ggdq_mcu.projects import folders

OLD = {"ggdq.json": "{}", "src/old.c": "int old;"}
NEW = {"ggdq.json": "{ }", "src/new.c": "int new;", "src/app/app.c": "int app;", "weights": b"\0"}
STEPS = ("write_bytes", "rename", "mkdir")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stopped(step: int, out: Path, monkeypatch: pytest.MonkeyPatch, stop: Callable[[], None]) -> int:
    """Writes the project, and calls ``stop`` before the step of that number; how many steps there were."""
    count = 0
    with monkeypatch.context() as patch:
        for name, owner in (*((name, Path) for name in STEPS), ("_exchange", folders)):
            original = getattr(owner, name)

            def counted(*arguments: object, original: Callable[..., object] = original, **options: object) -> object:
                nonlocal count
                count += 1
                if count == step:
                    stop()
                return original(*arguments, **options)

            patch.setattr(owner, name, counted)
        folders.replace_folder(out, NEW)
    return count


def made(folder: Path) -> Path:
    """The old project."""
    for path, content in OLD.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content)
    return folder


@pytest.fixture(params=[True, False], ids=["swapped at once", "renamed twice"])
def atomic(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    if not request.param:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    return bool(request.param)


def test_an_interrupt_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    def full() -> None:
        raise OSError(28, "No space left on device")

    steps = stopped(0, made(tmp_path / "whole"), monkeypatch, interrupt)
    assert steps >= 9
    assert contents(tmp_path / "whole").keys() == NEW.keys()
    for stop, error in ((interrupt, KeyboardInterrupt), (full, GgdqError)):
        for step in range(1, steps + 1):
            out = made(tmp_path / "p")
            with pytest.raises(error):
                stopped(step, out, monkeypatch, stop)
            assert contents(out) == {path: text.encode() for path, text in OLD.items()}
            assert {path.name for path in tmp_path.iterdir()} == {"whole", "p"}


def test_a_kill_at_any_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing runs after a kill, so that a folder may be left beside it."""
    new = tmp_path / "whole"
    steps = stopped(0, made(new), monkeypatch, lambda: None)
    for step in range(1, steps + 1):
        out = made(tmp_path / f"{step}")
        child = os.fork()
        if child == 0:
            try:
                stopped(step, out, monkeypatch, lambda: os._exit(9))
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
        assert contents(out) == {path: text.encode() for path, text in OLD.items()}


def test_the_next_build_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    out = made(tmp_path / "p")
    child = os.fork()
    if child == 0:
        with folders.staged(out) as fresh:
            (fresh / "half").write_text("")
            os._exit(9)
    os.waitpid(child, 0)
    assert (tmp_path / ".p.new" / "half").exists()
    folders.replace_folder(out, NEW)
    assert contents(out).keys() == NEW.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["p"]


def test_a_second_build_into_the_folder_is_refused(tmp_path: Path) -> None:
    out = made(tmp_path / "p")
    with folders.staged(out) as fresh:
        (fresh / "first").write_text("")
        with pytest.raises(GgdqError, match="another build is writing this folder; wait"):
            folders.replace_folder(out, NEW)
    assert contents(out) == {"first": b""}


def test_an_error_keeps_the_old_project_unless_the_new_one_is_wanted(tmp_path: Path) -> None:
    out = made(tmp_path / "p")
    for keep, expected in ((False, set(OLD)), (True, {"new"})):
        with pytest.raises(GgdqError, match="broken"), folders.staged(out, keep) as fresh:
            (fresh / "new").write_text("")
            raise GgdqError("broken")
        assert contents(out).keys() == expected


def test_a_terminated_build_leaves_nothing_behind(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom ggdq_mcu import cli\nfrom ggdq_mcu.projects import folders\n"
        "def build(*_, **options):\n"
        "    with folders.staged(Path(sys.argv[1])) as fresh:\n"
        "        (fresh / 'half').write_text('')\n        print('ready', flush=True)\n        time.sleep(60)\n"
        "cli.group.main = build\ncli.main([])\n"
    )
    out = made(tmp_path / "p")
    with subprocess.Popen([sys.executable, "-c", program, str(out)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        process.terminate()
        assert process.wait(30) == 143
    assert contents(out).keys() == OLD.keys()
    assert [path.name for path in tmp_path.iterdir()] == ["p"]
