"""Boards: every manifest is whole, and a name that is not quite one is answered with the right one."""

from __future__ import annotations

import json
import runpy
from collections import Counter
from pathlib import Path

import pytest

from ggdq_mcu import boards, resources
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.writing import uart_divider

NAMES = [board.name for board in boards.all_boards()]


def test_nucleo_is_the_f446re() -> None:
    board = boards.load("nucleo")
    assert (board.name, board.core.name) == ("nucleo_f446re", "cortex-m4")
    assert (board.flash_bytes, board.ram_bytes) == (512 * 1024, 128 * 1024)


def test_names_and_aliases_are_unique() -> None:
    names = Counter(name for board in boards.all_boards() for name in (board.name, *board.aliases))
    assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize("name", NAMES)
def test_the_manifest_tells_platformio_what_it_tells_us(name: str) -> None:
    manifest = json.loads((resources.root("boards") / f"{name}.json").read_text())
    board = boards.load(name)
    if board.flash is None:
        assert board.core.name == "host"
        return
    assert (board.framework or "cmsis") in manifest["frameworks"]
    assert manifest["upload"]["maximum_size"] == board.flash.size
    assert manifest["upload"]["maximum_ram_size"] == board.ram_bytes
    assert manifest["build"]["cpu"] == board.core.name
    assert manifest["build"]["f_cpu"] == f"{board.clock_hz}L"
    assert board.platform in manifest["platforms"]


@pytest.mark.parametrize("name", NAMES)
def test_the_baud_rate_is_right_within_two_percent_at_both_clocks(name: str) -> None:
    board = boards.load(name)
    if board.uart is None:
        assert board.is_host or board.framework == "arduino"
        return
    scale = {"lpuart": 256, "ns16550": 1 / 16}.get(board.uart.kind, 1)
    for clock in board.uart_clocks_hz:
        baud = scale * clock / uart_divider(board, clock)
        assert abs(baud / board.uart.baud - 1) < 0.02


def test_a_misspelt_board_is_answered_with_the_right_name() -> None:
    with pytest.raises(GgdqError, match="unknown board 'nucleo_f446er'; did you mean 'nucleo_f446re'"):
        boards.load("nucleo_f446er")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("zzz", "ggdq-mcu boards lists the known ones"),
        ("stm32f4", "boards with 'stm32f4': blackpill_f411ce, disco_f407vg"),
        ("Nucleo-G071RB", "boards with 'Nucleo-G071RB': nucleo_g071rb"),
        ("cortex-m7", "more (ggdq-mcu boards)|boards with 'cortex-m7'"),
        ("nucelo", "did you mean 'nucleo'?"),
    ],
)
def test_a_strange_board_is_answered_with_those_that_may_be_meant(typed: str, told: str) -> None:
    with pytest.raises(GgdqError) as caught:
        boards.load(typed)
    assert any(one in str(caught.value) for one in told.split("|"))


def test_a_board_of_ones_own_is_read_from_its_file(tmp_path: Path) -> None:
    text = (resources.root("boards") / "nucleo_f446re.json").read_text()
    own = tmp_path / "mine.json"
    own.write_text(text.replace("524288", "262144"))
    assert boards.load(own).flash_bytes == 262144
    assert boards.load(own).name == "mine"


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("{", "Invalid JSON"),
        ("{}", "name: Field required"),
        ("[]", "not a board"),
        ('{"name": "x", "ggdq": {"core": "cortex-a53", "platform": "x", "port": "x"}}', "unknown core 'cortex-a53'"),
    ],
)
def test_a_broken_manifest_is_named_with_the_cause(tmp_path: Path, text: str, cause: str) -> None:
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(GgdqError, match=f"mine.json: .*{cause}"):
        boards.load(path)


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match=r"none.json: cannot be read"):
        boards.load(tmp_path / "none.json")


def test_the_table_of_boards_is_up_to_date() -> None:
    docs = Path(__file__).parents[1] / "docs"
    table = runpy.run_path(str(docs / "boards.py"))["table"]()
    assert (docs / "boards.md").read_text() == table, "run python docs/boards.py"
