"""Every command and every piece of code in the documents is run; what cannot be run here is listed here."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from blocks import PAGES, ROOT, TEXT, Block, blocks_of, run, typed_commands

import ggdq_mcu
from checkout import check_out
from ggdq_mcu import boards
from ggdq_mcu.emulation.emulated_board import EmulatedBoard

NOT_RUN = {
    "needs a board",
    "needs a model of others",
    "installs packages",
    "runs everything",
    "takes minutes",
    "for your own shell",
}
GPIOA_BSRR, LED = 0x40020018, 5


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a reader's model lies: the example under the names that the documents use."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for kind in ("h5", "npz"):
        shutil.copy(ROOT / "examples" / f"digits.{kind}", tmp_path / f"model.{kind}")
    with np.load(ROOT / "examples" / "digits_test.npz") as data:
        np.savez(tmp_path / "test.npz", x=data["x"][:50], y=data["y"][:50])
    return tmp_path


def test_every_block_says_what_it_is() -> None:
    for page in PAGES:
        assert typed_commands(page) == [], page
        for block in blocks_of(page):
            assert block.language in {"sh", "python", "c", *TEXT}, (page, block)
            assert not block.why or block.why in NOT_RUN, (page, block)
    found = {block.why for page in PAGES for block in blocks_of(page) if block.why}
    assert found == NOT_RUN


WITH_BLOCKS = [
    page
    for page in PAGES
    if page.name != "tutorial.md" and any(not b.why and b.language not in TEXT for b in blocks_of(page))
]


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.name)
def test_the_blocks_of_a_page_run_in_their_order(page: Path, folder: Path) -> None:
    if page.name in {"adding-an-operator.md", "porting.md"}:
        check_out(folder)
    for block in joined(blocks_of(page)):
        run(block, folder)


def joined(blocks: list[Block]) -> list[Block]:
    """The blocks that are run; Python that goes on where the block before ended is one with it."""
    found: list[Block] = []
    for block in blocks:
        if block.why or (block.language in TEXT and not block.file):
            continue
        if found and block.language == found[-1].language == "python" and not (block.file or found[-1].file):
            found[-1] = replace(found[-1], text=f"{found[-1].text}\n{block.text}")
        else:
            found.append(block)
    return found


class Led(EmulatedBoard):
    """A board whose LED is watched: how often it goes on after each inference, for three of them."""

    def __init__(self, elf: Path) -> None:
        self.flashes: list[int] = []
        super().__init__(elf, boards.load("nucleo"), count=True)
        self.machine.watch("ggdq_digits_invoke", 0)
        self.machine.on_return = self._inferred

    def _inferred(self, _: object) -> None:
        self.flashes.append(0)
        if len(self.flashes) > 3:
            self.machine.uc.emu_stop()

    def _write_register(self, address: int, value: int) -> None:
        super()._write_register(address, value)
        if address == GPIOA_BSRR:
            assert value in (1 << LED, 1 << (LED + 16))
            self.flashes[-1] += value == 1 << LED


@pytest.mark.xdist_group("keras")
def test_the_tutorial_ends_in_a_blinking_board(tmp_path: Path) -> None:
    for block in joined(blocks_of(ROOT / "docs" / "tutorial.md")):
        run(block, tmp_path)
    with np.load(tmp_path / "test.npz") as data:
        x, y = data["x"], data["y"]
    model = ggdq_mcu.load(tmp_path / "digits-nucleo_f446re")
    accuracy = model.evaluate(x, y).accuracy
    assert accuracy is not None
    assert accuracy > 0.9
    digit = int(np.asarray(model.predict(x[:1])).argmax())
    assert digit == y[0]
    blink = tmp_path / "blink"
    line = ["make", "-C", str(blink), "-B", "CFLAGS=-O2 -DPAUSE=20u"]  # an emulator need not wait
    subprocess.run(line, check=True, capture_output=True)
    board = Led(blink / "firmware.elf")
    board.read()
    assert board.flashes[:3] == [digit] * 3
