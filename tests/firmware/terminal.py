"""A pseudo terminal with something behind it that talks like a board."""

from __future__ import annotations

import os
import subprocess
import threading
import tty
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from ggdq_mcu.emulation.serial_board import SerialLine

#: What a line does to a byte: none, two, or another arrives.
FAULTS: Mapping[str, Callable[[int], bytes]] = {
    "lost": lambda byte: b"",
    "doubled": lambda byte: bytes([byte, byte]),
    "garbled": lambda byte: bytes([byte ^ 0x41]),
}


@contextmanager
def behind_terminal(command: Sequence[str]) -> Iterator[str]:
    """The port of a pseudo terminal with a program at its far end."""
    near, far = os.openpty()
    tty.setraw(far)
    process = subprocess.Popen(command, stdin=near, stdout=near)
    try:
        yield os.ttyname(far)
    finally:
        process.kill()
        process.communicate()
        os.close(near)
        os.close(far)


@contextmanager
def line_to(command: Sequence[str], baud: int = 115_200) -> Iterator[SerialLine]:
    """A line to a program behind a pseudo terminal, opened before the program says its first word."""
    near, far = os.openpty()
    tty.setraw(far)
    line = SerialLine(os.ttyname(far), baud, timeout_s=60)
    process = subprocess.Popen(command, stdin=near, stdout=near)
    try:
        yield line
    finally:
        process.kill()
        process.communicate()
        line.close()
        os.close(near)
        os.close(far)


class Line(Protocol):
    """What talks like a board: a Transport."""

    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes: ...


class Terminal:
    """``port`` leads to the board. ``to_board``, ``from_board``: faults (of FAULTS) by the number of the byte each way."""

    def __init__(self, board: Line, to_board: Mapping[int, str], from_board: Mapping[int, str]) -> None:
        self._board, self._to_board, self._from_board = board, to_board, from_board
        self.received = self.sent = 0  # by the board
        self._near, self._far = os.openpty()
        tty.setraw(self._far)
        self.port = os.ttyname(self._far)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._far)
        self._thread.join()
        os.close(self._near)

    def _serve(self) -> None:
        while True:
            try:
                data = os.read(self._near, 4096)
            except OSError:  # the far end is closed
                return
            self._board.write(_arrive(data, self.received, self._to_board))
            self.received += len(data)
            said = self._board.read()
            answer = _arrive(said, self.sent, self._from_board)
            self.sent += len(said)
            while answer:
                answer = answer[os.write(self._near, answer) :]


def _arrive(data: bytes, first: int, faults: Mapping[int, str]) -> bytes:
    """What arrives of data whose first byte has this number."""
    return b"".join(FAULTS[faults[i]](byte) if i in faults else bytes([byte]) for i, byte in enumerate(data, first))
