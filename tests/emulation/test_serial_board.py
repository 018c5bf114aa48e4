"""A board at the end of a serial line: an emulated one behind a pseudo terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from firmware_fixtures import Built, samples
from terminal import FAULTS, Terminal

from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.serial_board import SerialBoard
from ggdq_mcu.errors import GgdqError


@pytest.fixture
def terminal(built: Callable[..., Built]) -> Iterator[Callable[..., Terminal]]:
    project = built("nucleo")
    opened: list[Terminal] = []

    def make(to_board: dict[int, str] | None = None, from_board: dict[int, str] | None = None) -> Terminal:
        board = EmulatedBoard(project.firmware.elf, project.board)
        board.read()  # the greeting, which is no frame
        opened.append(Terminal(board, to_board or {}, from_board or {}))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("places", [(3,), (20,), (17, 60, 90, 91)])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("way", ["to_board", "from_board"])
def test_outputs_arrive_whatever_the_line_does_to_bytes(
    built: Callable[..., Built], terminal: Callable[..., Terminal], way: str, fault: str, places: tuple[int, ...]
) -> None:
    some = samples(5)
    line = terminal(**{way: dict.fromkeys(places, fault)})
    with SerialBoard(line.port, built("nucleo").interface, timeout_s=0.3) as board:
        outputs = board.run([x for x, _ in some])
    assert all(np.array_equal(out, y) for (out,), (_, (y,)) in zip(outputs, some, strict=True))
    assert line.received > 16 + 5 * 24  # something was said again


def test_a_firmware_without_trace_says_how_to_get_it(
    built: Callable[..., Built], terminal: Callable[..., Terminal]
) -> None:
    line = terminal()
    with (
        SerialBoard(line.port, built("nucleo").interface) as board,
        pytest.raises(GgdqError, match="flash DIR --layers"),
    ):
        board.trace(samples(1)[0][0])


def test_a_port_that_is_not_there_is_named(built: Callable[..., Built], tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="none: cannot open the serial port"):
        SerialBoard(str(tmp_path / "none"), built("nucleo").interface)
