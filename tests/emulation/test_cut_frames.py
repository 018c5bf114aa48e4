"""A frame that is cut off, a byte that is lost: what they cost, on the emulated board and over a slow line."""

from __future__ import annotations

import os
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import Built, samples

from ggdq_mcu import boards, projects
from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.host import compile_host
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import CHUNK_BYTES, FLUSH, Client, Decoder, Frame, FrameType, encode
from ggdq_mcu.emulation.serial_board import SerialBoard

(X,), (Y,) = samples(1)[0]
INPUT = X.tobytes() + b"\0"
CUT = encode(Frame(FrameType.INPUT, 200, bytes(len(INPUT))))[:-8]  # begun, and never ended


def fresh(project: Built) -> EmulatedBoard:
    board = EmulatedBoard(project.firmware.elf, project.board)
    board.read()
    return board


@pytest.mark.parametrize("name", ["nucleo", "nucleo_g071rb", "qemu_rv32"])
def test_a_board_gives_up_a_frame_that_does_not_go_on(built: Callable[..., Built], name: str) -> None:
    board = fresh(built(name))
    slow = encode(Frame(FrameType.INPUT, 7, INPUT))
    for part in (slow[:20], slow[20:]):
        board.write(part)
        board.read()
        board.wait(0.9)
    board.write(encode(Frame(FrameType.RUN, 7)))
    (answer,) = Decoder().feed(board.read())
    assert answer.type == FrameType.OUTPUT
    assert answer.payload[16:][: Y.nbytes] == Y.tobytes()
    request = encode(Frame(FrameType.INFO, 8))
    board.write(CUT + request[:5])
    board.read()
    board.wait(1.1)
    assert board.read() == b""
    board.write(request[5:])  # it had begun inside what was given up
    (answer,) = Decoder().feed(board.read())
    assert (answer.type, answer.sequence) == (FrameType.INFO_ANSWER, 8)


@pytest.mark.parametrize("kind", [FrameType.INFO, FrameType.RUN, FrameType.TRACE])
def test_a_request_with_a_payload_that_it_does_not_take_is_refused(
    built: Callable[..., Built], kind: FrameType
) -> None:
    board = fresh(built("nucleo"))
    board.write(encode(Frame(kind, 9, b"payload")))
    (answer,) = Decoder().feed(board.read())
    assert (answer.type, answer.sequence, answer.payload[:4]) == (FrameType.ERROR, 9, (2).to_bytes(4, "little"))


def test_a_terminal_is_heard_after_a_cut_frame(built: Callable[..., Built]) -> None:
    board = fresh(built("nucleo"))
    board.write(CUT)
    board.read()
    board.wait(1.1)
    board.read()
    board.write(b"info\r")
    assert b"ggdq-mcu: network" in board.read()


def test_a_client_is_answered_after_a_cut_frame_even_where_no_clock_runs(built: Callable[..., Built]) -> None:
    board = fresh(built("nucleo"))
    board.write(CUT)
    board.read()
    client = Client(board)
    assert client.info().name == "tiny"
    assert client.run(INPUT).outputs[:3] == Y.tobytes()


def test_an_interrupt_keeps_the_counter_and_the_program(built: Callable[..., Built]) -> None:
    board = fresh(built("nucleo"))
    board.wait(10)  # ten wraps of the counter
    board.read()
    wraps = int.from_bytes(board.machine.read(board.machine.address("wraps"), 4), "little")
    assert wraps == 10 * boards.load("nucleo").reset_clock_hz >> 24
    assert Client(board).run(INPUT).outputs[:3] == Y.tobytes()


class Lossy:
    """A line that loses the bytes with these numbers, and counts what goes over it."""

    name = "lossy"

    def __init__(self, line: Pipe, lost: set[int]) -> None:
        self._line, self._lost = line, lost
        self.sent = 0

    def write(self, data: bytes) -> None:
        self._line.write(bytes(byte for i, byte in enumerate(data, self.sent) if i not in self._lost))
        self.sent += len(data)

    def read(self) -> bytes:
        return self._line.read()


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program on this computer: half a MiB in, their sum out."""
    folder = tmp_path_factory.mktemp("wide")
    projects.write(folder / "p", boards.load("host"), networks.wide(ELEMENTS))
    compile_host(folder / "p", folder / "program")
    return folder / "program"


ELEMENTS = 1 << 19


@pytest.mark.parametrize("place", [40, 100_000, 100_270, 500_000])
def test_a_lost_byte_costs_one_chunk(wide: Path, place: int) -> None:
    data = np.random.default_rng(place).integers(0, 128, ELEMENTS, np.uint8).tobytes()
    pipe = Pipe([str(wide)], "host", timeout_s=2)
    for line in (clean := Lossy(pipe, set()), lossy := Lossy(pipe, {place})):
        assert Client(line).run(data).outputs == networks.wide_output(data)
    pipe.close()
    one = len(encode(Frame(FrameType.INPUT, 0, bytes(CHUNK_BYTES))))
    assert lossy.sent == clean.sent + one + len(encode(Frame(FrameType.RUN, 0)))


class Paced:
    """A pseudo terminal before a program, at a baud rate: a byte takes ten bits each way."""

    def __init__(self, program: Path, baud: int) -> None:
        self._pipe, self._rate = Pipe([str(program)], "paced", timeout_s=0.005), baud / 10
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        free = time.monotonic()
        os.set_blocking(self._near, False)
        while True:
            try:
                data = os.read(self._near, max(1, int(self._rate * 0.02)))
            except BlockingIOError:
                data = b""
            except OSError:  # the far end is closed
                return
            free = max(free, time.monotonic()) + len(data) / self._rate
            time.sleep(max(0.0, free - time.monotonic()))
            if data:
                self._pipe.write(data)
            answer = b"" if len(data) == int(self._rate * 0.02) else self._pipe.read()
            while answer:
                answer = answer[os.write(self._near, answer) :]

    def close(self) -> None:
        os.close(self._far)
        self._thread.join()
        self._pipe.close()


@pytest.mark.parametrize(
    ("elements", "baud"),
    [
        (1 << 19, 3_000_000),
        (2048, 9_600),
        pytest.param(1 << 19, 115_200, marks=pytest.mark.nightly),
        pytest.param(1 << 19, 9_600, marks=pytest.mark.nightly),
    ],
)
def test_large_inputs_go_through_at_any_baud_rate(tmp_path: Path, elements: int, baud: int) -> None:
    projects.write(tmp_path / "p", boards.load("host"), networks.wide(elements))
    compile_host(tmp_path / "p", tmp_path / "program")
    data = np.random.default_rng(baud).integers(0, 128, elements, np.uint8)
    line = Paced(tmp_path / "program", baud)
    interface = projects.read_interface(tmp_path / "p")
    with SerialBoard(line.port, interface, baud, timeout_s=0.5) as board:  # a fraction of what the bytes take
        ((output,),) = board.run([(data.astype(np.int8),)])
    line.close()
    assert output.tobytes() == networks.wide_output(data.tobytes())


def test_a_flush_says_nothing_at_a_terminal(built: Callable[..., Built]) -> None:
    board = fresh(built("nucleo"))
    board.write(FLUSH)
    assert board.read() == b""
