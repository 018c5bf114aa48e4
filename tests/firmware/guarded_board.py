"""An emulated board on which every variable stands alone, and every write outside one is a fault."""

from __future__ import annotations

import re
from bisect import bisect_right
from pathlib import Path
from typing import Any

import unicorn
from elftools.elf.elffile import ELFFile

from ggdq_mcu.boards import Board
from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.projects import writing

GAP = 512  # bytes from the beginning of a variable to that of the next, or a multiple


def space_variables(project: Path) -> None:
    """Has the linker place every variable at a multiple of GAP, so that there is nobody's memory behind each."""
    script = project / "link.ld"
    sections, aligned = r"(\.data|\.bss \(NOLOAD\)) : ALIGN\(8\)", rf"\1 : ALIGN({GAP}) SUBALIGN({GAP})"
    text, count = re.subn(sections, aligned, script.read_text())
    assert count == 2
    script.write_text(text)


class GuardedBoard(EmulatedBoard):
    """``greeting`` is what it said at its start, which clears the RAM as a whole.

    ``stray``: writes to RAM since then that are in no variable and not in the stack, as (address, size, pc).
    """

    def __init__(self, elf: Path, board: Board) -> None:
        super().__init__(elf, board)
        self.greeting = self.read()
        self.stray: list[tuple[int, int, int]] = []
        assert board.ram is not None
        end = board.ram.origin + board.ram.size
        variables = sorted(_variables(elf))
        self._starts = [start for start, _ in variables]
        self._ends = [start + size for start, size in variables]
        self._stack = end - writing.STACK_BYTES
        self.machine.uc.hook_add(unicorn.UC_HOOK_MEM_WRITE, self._on_write, begin=board.ram.origin, end=end - 1)

    def _on_write(self, uc: Any, _access: int, address: int, size: int, _value: int, _data: Any) -> None:
        if address >= self._stack:
            return
        place = bisect_right(self._starts, address) - 1
        if place < 0 or address + size > self._ends[place]:
            self.stray.append((address, size, uc.reg_read(unicorn.arm_const.UC_ARM_REG_PC)))
            uc.emu_stop()


def _variables(elf: Path) -> list[tuple[int, int]]:
    """Address and size of every variable."""
    with elf.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".symtab")
        return [
            (symbol["st_value"], symbol["st_size"])
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] == "STT_OBJECT"
        ]
