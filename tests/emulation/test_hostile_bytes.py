"""Whatever the serial line brings, the firmware writes into its own variables only, and answers afterwards."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import samples
from guarded_board import GAP, GuardedBoard, space_variables
from hostile_bytes import commands, frames
from mlperf_runner import Runner

from ggdq_mcu import boards, projects
from ggdq_mcu.emulation.host import SANITIZERS, compile_host
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import FLUSH, Client, Decoder, Frame, FrameType, encode

BOARD = boards.load("nucleo")
(X,), (Y,) = samples(1)[0]
INPUT = X.tobytes() + b"\0"
COUNTS = [500, pytest.param(10_000, marks=pytest.mark.nightly)]
_AT_ONCE = 100


def firmware(folder: Path, files: dict[str, str | bytes], app: str = "mlperf-tiny") -> Path:
    """The firmware that speaks frames and commands, its variables apart."""
    projects.write(folder, BOARD, files, app=projects.App(app))
    space_variables(folder)
    subprocess.run(["make", "-s", "firmware.elf"], cwd=folder, check=True, capture_output=True)
    return folder / "firmware.elf"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return firmware(tmp_path_factory.mktemp("guarded") / "p", networks.tiny())


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sanitized")
    projects.write(folder / "p", boards.load("host"), networks.tiny(), app=projects.App("mlperf-tiny"))
    compile_host(folder / "p", folder / "program", ("-O1", *SANITIZERS))
    return folder / "program"


def pieces(count: int) -> Iterator[bytes]:
    """So many frames and so many commands, a hundred at a time."""
    for start in range(0, count, _AT_ONCE):
        mixed = [*frames(start, _AT_ONCE, INPUT), *commands(start, _AT_ONCE)]
        np.random.default_rng(start).shuffle(mixed)
        yield b"".join(mixed)


@pytest.mark.parametrize("count", COUNTS)
def test_no_bytes_make_the_emulated_board_write_outside_its_variables(guarded: Path, count: int) -> None:
    board = GuardedBoard(guarded, BOARD)
    assert b"m-ready" in board.greeting
    for piece in pieces(count):
        board.write(piece)
        board.read()
        assert board.stray == []
    board.write(FLUSH + b"%")  # ends what was begun
    board.read()
    assert Client(board).run(INPUT).outputs[:3] == Y.tobytes()
    assert Runner(board).ask("profile")[1] == "m-model-[tiny]"
    assert board.stray == []


@pytest.mark.parametrize("count", COUNTS)
def test_no_bytes_make_the_host_read_or_write_out_of_bounds(sanitized: Path, count: int) -> None:
    for piece in pieces(count):
        pipe = Pipe([str(sanitized)], "host")
        pipe.write(piece + FLUSH + b"%" + encode(Frame(FrameType.INFO, 77)))
        answers = Decoder().feed(pipe.finish())
        assert (answers[-1].type, answers[-1].sequence) == (FrameType.INFO_ANSWER, 77)


@pytest.mark.parametrize("beyond", [0, 1, GAP // 4])
def test_the_guard_sees_a_write_behind_a_variable(tmp_path: Path, beyond: int) -> None:
    files = networks.tiny()
    source = "lib/ggdq_tiny/src/ggdq_tiny.c"
    files[source] = str(files[source]).replace(
        "    TRACE(1, arena, sizeof arena);", f"    volatile int16_t *wrong = arena;\n    wrong[{7 + beyond}] = 1;"
    )
    board = GuardedBoard(firmware(tmp_path / "p", files), BOARD)
    board.write(encode(Frame(FrameType.INPUT, 1, INPUT)) + encode(Frame(FrameType.RUN, 1)))
    board.read()
    assert [size for _, size, _ in board.stray] == [2]
