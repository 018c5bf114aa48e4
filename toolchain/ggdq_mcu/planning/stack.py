"""How deep does the stack get at most below a function? From the machine code: every frame, along every call.

The generated code has no recursion and no frames of variable size, so the machine code of a function says what it puts
on the stack: what it pushes and what it subtracts from the stack pointer. Counting all of that, even on paths that
exclude each other, gives a bound; it is the compiler's own figure (-fstack-usage) for C functions, and covers those in
assembly and in libraries, for which the compiler has none. A call through a pointer counts as a call of every routine
of the generated code whose address is in the program.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from ggdq_mcu.errors import GgdqError

_SP = 13
GENERATED = "ggdq_"  # the names of generated functions begin so


@dataclass(frozen=True)
class StackUse:
    """Bytes of the deepest chain of calls, and its functions, outermost first."""

    bytes: int
    chain: tuple[str, ...]


@dataclass(frozen=True)
class _Function:
    name: str
    frame: int
    calls: frozenset[int]
    through_pointer: bool


def worst_stack(elf: Path, root: str) -> StackUse | None:
    """The most that a call of ``root`` puts on the stack; None where the program is for neither a Cortex-M nor RISC-V.

    Raises a GgdqError where that has no bound: recursion, frames of variable size.
    """
    with elf.open("rb") as file:
        program = ELFFile(file)
        if program["e_machine"] not in ("EM_ARM", "EM_RISCV"):
            return None
        functions, named, pointed = _functions(program, elf)
    if root not in named:
        raise GgdqError(f"there is no function {root}", str(elf))
    depths: dict[int, StackUse] = {}

    def depth(address: int, chain: tuple[int, ...]) -> StackUse:
        if address in chain:
            raise GgdqError(f"{functions[address].name} calls itself, so its stack has no bound", str(elf))
        if address not in depths:
            function = functions[address]
            called = function.calls | pointed if function.through_pointer else function.calls
            below = [depth(callee, (*chain, address)) for callee in sorted(called)]
            deepest = max(below, key=lambda use: use.bytes, default=StackUse(0, ()))
            depths[address] = StackUse(function.frame + deepest.bytes, (function.name, *deepest.chain))
        return depths[address]

    return depth(named[root], ())


def _functions(program: ELFFile, elf: Path) -> tuple[dict[int, _Function], dict[str, int], frozenset[int]]:
    """All functions by address; the addresses by name; the generated functions to which there are pointers."""
    table: Any = program.get_section_by_name(".symtab")
    symbols = list(table.iter_symbols()) if table else []
    sizes = {s["st_value"] & ~1: s["st_size"] for s in symbols if s["st_info"]["type"] == "STT_FUNC" and s["st_size"]}
    named = {s.name: s["st_value"] & ~1 for s in symbols if s["st_info"]["type"] == "STT_FUNC"}
    names = {address: name for name, address in named.items()}
    # $t and $d mark where instructions and where constants begin.
    marks = sorted((s["st_value"] & ~1, s.name[1] == "t") for s in symbols if s.name[:2] in ("$t", "$d"))
    riscv = program["e_machine"] == "EM_RISCV"
    thumb = 0 if riscv else 1  # what is added to the address of a function in a pointer to it
    generated = {named[name] + thumb: named[name] for name in named if name.startswith(GENERATED)}
    functions = {}
    pointed = set()
    for section in program.iter_sections():
        if section["sh_type"] != "SHT_PROGBITS" or not section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
            continue
        start, data = section["sh_addr"], section.data()
        pointed |= {generated[word] for word in _words(data) if word in generated}
        if not section["sh_flags"] & SH_FLAGS.SHF_EXECINSTR:
            continue
        for address in (a for a in sizes if start <= a < start + len(data)):
            if riscv:
                code = data[address - start :][: sizes[address]]
                functions[address], constants = _read_riscv(names[address], address, sizes, code, elf)
            else:
                instructions = list(_instructions(data, start, address, sizes[address], marks))
                functions[address] = _read(names[address], address, sizes, instructions, data[address - start :], elf)
                constants = set(_built_constants(instructions))
            pointed |= {generated[number] for number in constants if number in generated}
    return functions, named, frozenset(pointed)


def _words(data: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4])


def _built_constants(code: list[tuple[int, int, int]]) -> Iterator[int]:
    """Constants that pairs of movw and movt make."""
    low: dict[int, int] = {}
    for _, first, second in code:
        number = (first & 15) << 12 | (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
        if first & 0xFBF0 == 0xF240:
            low[second >> 8 & 15] = number
        elif first & 0xFBF0 == 0xF2C0:
            yield number << 16 | low.get(second >> 8 & 15, 0)


def _instructions(
    data: bytes, base: int, address: int, size: int, marks: list[tuple[int, bool]]
) -> Iterator[tuple[int, int, int]]:
    """Address, first and second halfword (0 where there is none) of each instruction, without the constants between."""

    def halfword(at: int) -> int:
        return int.from_bytes(data[at - base : at - base + 2], "little")

    place = address
    while place < address + size:
        mark = bisect.bisect_right(marks, (place, True)) - 1
        if mark >= 0 and not marks[mark][1]:
            place = marks[mark + 1][0] if mark + 1 < len(marks) else address + size
            continue
        first = halfword(place)
        wide = first >= 0xE800
        yield place, first, halfword(place + 2) if wide else 0
        place += 4 if wide else 2


def _read(
    name: str, start: int, sizes: dict[int, int], code: list[tuple[int, int, int]], data: bytes, elf: Path
) -> _Function:
    """What a function does with the stack, and whom it calls; ``data`` begins with its code."""
    frame = 0
    calls = set()
    loaded: dict[int, int] = {}  # constants in registers
    through_pointer = False
    for place, first, second in code:
        if first & 0xF800 == 0x4800:  # ldr from the constants
            at = (place + 4 & ~3) + 4 * (first & 0xFF) - start
            loaded[first >> 8 & 7] = int.from_bytes(data[at : at + 4], "little", signed=True)
        elif first & 0xF800 == 0x2000:  # movs
            loaded[first >> 8 & 7] = first & 0xFF
        elif first & 0xF800 == 0 and (first >> 3 & 7) in loaded:  # lsls
            loaded[first & 7] = loaded[first >> 3 & 7] << (first >> 6 & 31)
        elif first & 0xFFC0 == 0x4240 and (first >> 3 & 7) in loaded:  # negs
            loaded[first & 7] = -loaded[first >> 3 & 7]
        elif first & 0xFF87 == 0x4485:  # add sp, a register: a large frame on the smallest cores
            if (first >> 3 & 15) not in loaded:
                raise GgdqError(f"{name} has a frame of variable size", str(elf))
            frame += max(0, -loaded[first >> 3 & 15])
        elif (first == 0xEBAD and second >> 8 & 15 == _SP) or (first & 0xFF87 == 0x4685 and first >> 3 & 15 != 7):
            # sub sp, a register; mov sp, one that is not the frame pointer
            raise GgdqError(f"{name} has a frame of variable size", str(elf))
        through_pointer |= first & 0xFF87 == 0x4780
        frame += _pushed(first, second)
        target = _target(place, first, second)
        if target in sizes and (target != start or _is_call(first, second)):
            calls.add(target)
    return _Function(name, frame, frozenset(calls), through_pointer)


def _read_riscv(name: str, start: int, sizes: dict[int, int], code: bytes, elf: Path) -> tuple[_Function, set[int]]:
    """The same of RISC-V code, and the constants in it."""
    from ggdq_mcu.planning.stack_riscv import look_at  # Capstone is for those who have such code

    seen = look_at(name, start, code, sizes, elf)
    return _Function(name, seen.frame, frozenset(seen.calls), seen.through_pointer), seen.constants


def _pushed(first: int, second: int) -> int:
    """Bytes by which an instruction lowers the stack pointer."""
    if first & 0xFE00 == 0xB400:  # push
        return 4 * (first & 0x1FF).bit_count()
    if first & 0xFF80 == 0xB080:  # sub sp, #n
        return 4 * (first & 0x7F)
    if first == 0xE92D:  # stmdb sp!
        return 4 * second.bit_count()
    if first in (0xED2D, 0xED6D, 0xE96D):  # vpush, strd [sp, #-n]!
        return 4 * (second & 0xFF)
    return _lowered(first, second)


def _lowered(first: int, second: int) -> int:
    """The same for the 32-bit instructions with a constant of bytes."""
    if first == 0xF84D and second & 0x0F00 == 0x0D00:  # str [sp, #-n]!
        return second & 0xFF
    number = (first >> 10 & 1) << 11 | (second >> 12 & 7) << 8 | second & 0xFF
    if first & 0xFBFF == 0xF2AD and second >> 8 & 15 == _SP:  # subw sp, sp, #n
        return number
    if first & 0xFBEF == 0xF1AD and second >> 8 & 15 == _SP:  # sub.w sp, sp, #n
        return _expanded(number)
    return 0


def _expanded(number: int) -> int:
    """The constant that a 12-bit modified immediate stands for (Armv7-M Architecture Reference Manual, A5.3.2)."""
    byte, kind = number & 0xFF, number >> 8
    if kind < 4:
        return (byte, byte * 0x10001, byte * 0x1000100, byte * 0x1010101)[kind]
    turned = byte | 0x80
    rotation = number >> 7
    return (turned >> rotation | turned << (32 - rotation)) & 0xFFFFFFFF


def _is_call(first: int, second: int) -> bool:
    return first & 0xF800 == 0xF000 and second & 0xD000 == 0xD000


def _target(place: int, first: int, second: int) -> int:
    """Where a branch or call goes; -1 for other instructions."""
    if first & 0xF800 == 0xE000:
        return place + 4 + _signed(first & 0x7FF, 11) * 2
    if first & 0xF000 == 0xD000 and first >> 8 & 15 < 14:
        return place + 4 + _signed(first & 0xFF, 8) * 2
    if first & 0xF800 != 0xF000 or not second & 0x8000:
        return -1
    sign, j1, j2 = first >> 10 & 1, second >> 13 & 1, second >> 11 & 1
    if second & 0x1000:  # bl, b.w
        i1, i2 = 1 - (j1 ^ sign), 1 - (j2 ^ sign)
        offset = sign << 23 | i1 << 22 | i2 << 21 | (first & 0x3FF) << 11 | second & 0x7FF
        return place + 4 + _signed(offset, 24) * 2
    if first >> 6 & 15 < 14:  # conditional
        offset = sign << 19 | j2 << 18 | j1 << 17 | (first & 0x3F) << 11 | second & 0x7FF
        return place + 4 + _signed(offset, 20) * 2
    return -1


def _signed(value: int, bits: int) -> int:
    return value - (value >> (bits - 1) << bits)
