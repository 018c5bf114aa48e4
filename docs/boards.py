"""Writes docs/boards.md, the table of boards, from boards/*.json: python docs/boards.py"""

from __future__ import annotations

from pathlib import Path

from ggdq_mcu.boards import Board, all_boards

_HEAD = """# Boards

`ggdq-mcu build model.h5 --board NAME`, or a file of your own like those in `boards/`: a PlatformIO board manifest with
one extra key, `ggdq`. No board of this table was on the desk of its authors: what each was tried with, the last
column says, and nothing more is meant.

* **emulated**: the tests start the whole firmware at its reset vector, with and without its clocks getting ready, and
  compare what the network answers over the serial port (in Unicorn, in QEMU where that is said; the boards that QEMU
  models, RISC-V among them, in both where Unicorn has the core).
* **compiled**: the tests compile app, network and the Arduino port for the core with every warning an error, against a
  stand-in for the framework's header; the port also runs on an emulated board. The framework itself is not tried.
* **generated**: the tests generate the project. No compiler for the core is among the packages that they use.

PlatformIO's own platforms and compilers are not among these packages either: `GGDQ_PIO=local` compiles with Debian's
compilers and stand-ins for the platforms `native`, `ststm32` and `sifive`, which have the same flags.

## The network as a library

`lib/ggdq_NAME` alone, in firmware of your own:

| as | tried with |
|---|---|
| library of PlatformIO | compiled with PlatformIO for this computer, two networks in one program |
| target of CMake (`add_subdirectory`, `FetchContent`) | compiled with CMake for this computer, two networks in one program |
| component of ESP-IDF (in `components/`) | CMake, with a stand-in for `idf_component_register`; no ESP-IDF |
| module of Zephyr (`ZEPHYR_EXTRA_MODULES`) | CMake, with stand-ins for the functions of Zephyr that it calls; no Zephyr |
| library of Arduino | properties as Arduino specifies; C and a C++ sketch compile for a Cortex-M4; no Arduino core is tried |
| plain C files | compiled by hand; two networks with the kernels of a Cortex-M4 in one program, run in Unicorn |

## The boards

| board | name (alias) | core | flash KiB | RAM KiB | MHz | firmware | tried |
|---|---|---|---:|---:|---:|---|---|
"""


def table() -> str:
    """The text of docs/boards.md."""
    return _HEAD + "".join(_row(board) for board in all_boards() if not board.is_host)


def _row(board: Board) -> str:
    names = f"`{board.name}`" + "".join(f" (`{alias}`)" for alias in board.aliases)
    flash, ram = ((size or 0) // 1024 for size in (board.flash_bytes, board.ram_bytes))
    firmware = "Arduino" if board.framework else "bare metal"
    cells = (board.title, names, board.core.name, flash, ram, board.clock_hz // 1_000_000, firmware, _tried(board))
    return f"| {' | '.join(map(str, cells))} |\n"


def _tried(board: Board) -> str:
    if board.uart is not None:
        return "emulated" if board.core.unicorn else "emulated (QEMU)"
    return "compiled" if board.core.tools else "generated"


if __name__ == "__main__":
    (Path(__file__).parent / "boards.md").write_text(table(), encoding="utf-8")
