"""A board at the end of a serial line: an emulated one behind a pseudo terminal."""

from __future__ import annotations

import os
import threading
import tty
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from firmware_fixtures import Built, samples

from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.serial_board import SerialBoard
from ggdq_mcu.errors import GgdqError


class Terminal:
    """A pseudo terminal with an emulated board behind it. ``lose``: numbers of bytes that never arrive."""

    def __init__(self, board: EmulatedBoard, lose: set[int]) -> None:
        self._board, self._lose = board, lose
        self._near, far = os.openpty()
        tty.setraw(far)
        self.port = os.ttyname(far)
        self._far = far
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._far)
        self._thread.join()
        os.close(self._near)

    def _serve(self) -> None:
        count = 0
        while True:
            try:
                data = os.read(self._near, 4096)
            except OSError:  # the far end is closed
                return
            kept = bytes(byte for i, byte in enumerate(data, count) if i not in self._lose)
            count += len(data)
            self._board.write(kept)
            answer = self._board.read()
            while answer:
                answer = answer[os.write(self._near, answer) :]


@pytest.fixture
def terminal(built: Callable[..., Built]) -> Iterator[Callable[[set[int]], Terminal]]:
    project = built("nucleo")
    opened: list[Terminal] = []

    def make(lose: set[int]) -> Terminal:
        opened.append(Terminal(EmulatedBoard(project.firmware.elf, project.board), lose))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("lose", [set(), {3}, {20}, {17, 60, 90, 91}])
def test_outputs_arrive_even_where_bytes_are_lost(
    built: Callable[..., Built], terminal: Callable[[set[int]], Terminal], lose: set[int]
) -> None:
    some = samples(5)
    line = terminal(lose)
    with SerialBoard(line.port, built("nucleo").interface, timeout_s=0.3) as board:
        outputs = board.run([x for x, _ in some])
    assert all(np.array_equal(out, y) for (out,), (_, (y,)) in zip(outputs, some, strict=True))


def test_a_firmware_without_trace_says_how_to_get_it(
    built: Callable[..., Built], terminal: Callable[[set[int]], Terminal]
) -> None:
    line = terminal(set())
    with (
        SerialBoard(line.port, built("nucleo").interface) as board,
        pytest.raises(GgdqError, match="GGDQ_TRACE"),
    ):
        board.trace(samples(1)[0][0])


def test_a_port_that_is_not_there_is_named(built: Callable[..., Built], tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="none: cannot open the serial port"):
        SerialBoard(str(tmp_path / "none"), built("nucleo").interface)
