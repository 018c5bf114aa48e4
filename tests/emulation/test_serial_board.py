"""A board at the end of a serial line: an emulated one behind a pseudo terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from firmware_fixtures import Built, samples
from terminal import Terminal

from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.serial_board import SerialBoard
from ggdq_mcu.errors import GgdqError


@pytest.fixture
def terminal(built: Callable[..., Built]) -> Iterator[Callable[[frozenset[int]], Terminal]]:
    project = built("nucleo")
    opened: list[Terminal] = []

    def make(lose: frozenset[int]) -> Terminal:
        opened.append(Terminal(EmulatedBoard(project.firmware.elf, project.board), lose))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("lose", [(), (3,), (20,), (17, 60, 90, 91)])
def test_outputs_arrive_even_where_bytes_are_lost(
    built: Callable[..., Built], terminal: Callable[[frozenset[int]], Terminal], lose: tuple[int, ...]
) -> None:
    some = samples(5)
    line = terminal(frozenset(lose))
    with SerialBoard(line.port, built("nucleo").interface, timeout_s=0.3) as board:
        outputs = board.run([x for x, _ in some])
    assert all(np.array_equal(out, y) for (out,), (_, (y,)) in zip(outputs, some, strict=True))


def test_a_firmware_without_trace_says_how_to_get_it(
    built: Callable[..., Built], terminal: Callable[[frozenset[int]], Terminal]
) -> None:
    line = terminal(frozenset())
    with (
        SerialBoard(line.port, built("nucleo").interface) as board,
        pytest.raises(GgdqError, match="flash DIR --layers"),
    ):
        board.trace(samples(1)[0][0])


def test_a_port_that_is_not_there_is_named(built: Callable[..., Built], tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="none: cannot open the serial port"):
        SerialBoard(str(tmp_path / "none"), built("nucleo").interface)
