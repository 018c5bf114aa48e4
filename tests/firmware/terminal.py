"""A pseudo terminal with something behind it that talks like a board."""

from __future__ import annotations

import os
import threading
import tty
from typing import Protocol


class Line(Protocol):
    """What talks like a board: a Transport."""

    def write(self, data: bytes) -> None: ...

    def read(self) -> bytes: ...


class Terminal:
    """``port`` leads to the board. ``lose``: numbers of bytes that never arrive. Counts the bytes each way."""

    def __init__(self, board: Line, lose: frozenset[int] = frozenset()) -> None:
        self._board, self._lose = board, lose
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
            kept = bytes(byte for i, byte in enumerate(data, self.received) if i not in self._lose)
            self.received += len(data)
            self._board.write(kept)
            answer = self._board.read()
            self.sent += len(answer)
            while answer:
                answer = answer[os.write(self._near, answer) :]
