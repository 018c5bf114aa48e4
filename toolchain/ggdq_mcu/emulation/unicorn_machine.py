"""What does a compiled program do, instruction by instruction? An ELF on a Cortex-M or a RISC-V core in Unicorn.

Instructions are counted by blocks: the instructions of each executed block, one of 32 bits as one of 16. That
agrees with QEMU's count. Cycles are an estimate from the same blocks, and from which of their branches were taken.
"""

from __future__ import annotations

import bisect
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import unicorn
from elftools.elf.elffile import ELFFile

from ggdq_mcu.boards import Core, Memory
from ggdq_mcu.emulation.architecture import architecture_of
from ggdq_mcu.errors import GgdqError

if TYPE_CHECKING:
    from ggdq_mcu.emulation.cycles import BlockCost, CycleRule
    from ggdq_mcu.emulation.flash import FlashModel

_PAGE = 0x1000
_STACK = Memory(0x7000_0000, 0x10_0000)
_FRAME_BYTES = 32  # that a Cortex-M saves at an exception
_STOP = 0x7800_0000  # a return address that stops a call
_ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "reads",
    unicorn.UC_MEM_WRITE_UNMAPPED: "writes",
    unicorn.UC_MEM_FETCH_UNMAPPED: "jumps to",
    unicorn.UC_MEM_WRITE_PROT: "writes",
    unicorn.UC_MEM_READ_PROT: "reads",
    unicorn.UC_MEM_FETCH_PROT: "jumps to",
}


@dataclass(frozen=True)
class Image:
    """A linked program; ``segments`` are (virtual address, physical address, bytes, size in memory)."""

    path: Path
    entry: int
    segments: tuple[tuple[int, int, bytes, int], ...]
    symbols: dict[str, int]
    functions: tuple[tuple[int, str], ...] = field(repr=False)

    def nearest(self, address: int) -> str:
        """``function+offset`` for an address in code."""
        place = bisect.bisect_right(self.functions, (address, "\uffff")) - 1
        if place < 0:
            return "no function"
        start, name = self.functions[place]
        return f"{name}+{address - start:#x}"


def read_image(path: Path) -> Image:
    """Reads an ELF file; GgdqError where it is none."""
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            segments = tuple(
                (segment["p_vaddr"], segment["p_paddr"], segment.data(), segment["p_memsz"])
                for segment in elf.iter_segments("PT_LOAD")
                if segment["p_memsz"]
            )
            table: Any = elf.get_section_by_name(".symtab")
            symbols = [symbol for symbol in table.iter_symbols() if symbol.name] if table else []
            # Addresses of Thumb functions are odd.
            kinds = [(symbol.name, symbol["st_value"], symbol["st_info"]["type"]) for symbol in symbols]
            functions = tuple(sorted((value & ~1, name) for name, value, kind in kinds if kind == "STT_FUNC"))
            named = {name: value & ~1 if kind == "STT_FUNC" else value for name, value, kind in kinds}
            return Image(path, elf["e_entry"], segments, named, functions)
    except Exception as error:  # pyelftools raises whatever a damaged file makes it stumble over
        raise GgdqError(f"not an ELF file ({error})", str(path)) from error


@dataclass
class Call:
    """One watched call of a function: the arguments, and what was executed until it returned; cycles by the rule."""

    function: str
    arguments: tuple[int, ...]
    returns_to: int
    instructions: int
    cycles: float


class Machine:
    """A core with an image. ``bare``: memory is left to the caller; else the image's segments and a stack.

    ``count``: count instructions and watch functions (slower); must be chosen before anything runs. ``rule``: by which
    ``cycles`` are estimated, with what ``flash`` costs beside; without, they stay 0.
    """

    def __init__(
        self,
        image: Image,
        core: Core,
        *,
        bare: bool = False,
        count: bool = False,
        rule: CycleRule | None = None,
        flash: FlashModel | None = None,
    ) -> None:
        if not core.unicorn:
            raise GgdqError(f"Unicorn has no {core.name}", str(image.path), "emulate another core")
        self.image = image
        self.instructions = 0
        self.on_return: Callable[[Call], None] | None = None
        self._architecture = architecture_of(core)
        self.uc: Any = unicorn.Uc(self._architecture.name, self._architecture.mode)
        self.uc.ctl_set_cpu_model(self._architecture.model(core))
        self._invalid: tuple[int, int, int] | None = None
        self._watched: dict[int, tuple[str, int]] = {}
        self._calls: list[Call] = []
        self._blocks: dict[tuple[int, int], tuple[int, int, int]] = {}  # instructions, cycles, more where it branches
        self._executed_cycles, self._factor, self._flash = 0, rule.factor if rule else 1.0, flash
        self._block_cost = _block_costs(rule) if rule is not None else None
        self._behind: tuple[int, int] = (0, 0)  # where the last block falls through to, and its cost if it does not
        self.uc.hook_add(unicorn.UC_HOOK_MEM_INVALID, self._on_invalid)
        if count:
            self.uc.hook_add(unicorn.UC_HOOK_BLOCK, self._on_block)
            if flash is not None:
                end = flash.memory.origin + flash.memory.size - 1
                self.uc.hook_add(
                    unicorn.UC_HOOK_MEM_READ,
                    lambda _uc, _access, address, size, _value, _data: flash.read(address, size),
                    begin=flash.memory.origin,
                    end=end,
                )
        if not bare:
            self._map_image()

    @property
    def cycles(self) -> float:
        """Estimated cycles so far: the rule's, and what was waited for flash."""
        return self._factor * self._executed_cycles + (self._flash.cycles if self._flash else 0.0)

    def map(self, memory: Memory, *, writable: bool) -> None:
        """Makes memory; code runs from it, and writing where it is not writable is an error."""
        permissions = unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC | (unicorn.UC_PROT_WRITE if writable else 0)
        self.uc.mem_map(memory.origin, -(-memory.size // _PAGE) * _PAGE, permissions)

    def watch(self, function: str, arguments: int) -> None:
        """Records each call of the function with so many arguments; ``on_return`` is told when it returns."""
        self._watched[self.address(function)] = (function, arguments)

    def address(self, symbol: str) -> int:
        """Address of a symbol; GgdqError where there is none."""
        if symbol not in self.image.symbols:
            raise GgdqError(f"there is no symbol {symbol}", str(self.image.path))
        return self.image.symbols[symbol]

    def read(self, address: int, size: int) -> bytes:
        """Bytes of memory."""
        return bytes(self.uc.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Sets bytes of memory."""
        self.uc.mem_write(address, data)

    def call(self, function: str, *arguments: int) -> int:
        """Calls a function by the procedure call standard; returns its result. ``instructions`` grows by its own."""
        architecture = self._architecture
        stack = _STACK.origin + _STACK.size - 64
        rest = arguments[len(architecture.arguments) :]
        stack = (stack - 4 * len(rest)) & ~15
        self.write(stack, struct.pack(f"<{len(rest)}I", *(value & 0xFFFFFFFF for value in rest)))
        for register, value in zip(architecture.arguments, arguments, strict=False):
            self.uc.reg_write(register, value & 0xFFFFFFFF)
        self.uc.reg_write(architecture.stack, stack)
        self.uc.reg_write(architecture.link, _STOP | architecture.code_bit)
        self.run(self.address(function), until=_STOP)
        return int(self.uc.reg_read(architecture.arguments[0]))

    def interrupt(self, handler: str, counter: int, back: int) -> None:
        """Runs an interrupt's handler where the program stands, at ``counter``, with an exception frame on the stack.

        ``back``: an address in memory that no program runs, to which the handler returns.
        What the program keeps below its stack pointer is lost, as on the core. GgdqError where the handler spoils the frame.
        """
        architecture = self._architecture
        context = self.uc.context_save()
        stack = int(self.uc.reg_read(architecture.stack))
        base = (stack - _FRAME_BYTES) & ~7
        registers = [int(self.uc.reg_read(register)) for register in architecture.arguments[:4]]
        frame = struct.pack("<6I", *registers, int(self.uc.reg_read(architecture.link)), counter).ljust(
            stack - base, b"\0"
        )
        self.write(base, frame)
        self.uc.reg_write(architecture.stack, base)
        self.uc.reg_write(architecture.link, back | architecture.code_bit)
        self.run(self.address(handler), until=back)
        if self.read(base, len(frame)) != frame:
            raise GgdqError(
                "an interrupt's handler writes into the frame of the program", f"{self.image.path} {handler}"
            )
        self.uc.context_restore(context)

    @property
    def counter(self) -> int:
        """Address of the instruction that is next."""
        return int(self.uc.reg_read(self._architecture.counter)) & ~self._architecture.code_bit

    def set_stack(self, address: int) -> None:
        """Sets the stack pointer."""
        self.uc.reg_write(self._architecture.stack, address)

    def run(self, start: int, until: int, timeout_s: float = 0) -> bool:
        """Runs from an address until another, or until the time is over (0: no limit): False then.

        GgdqError where the program does what it must not, with the address and the function that did it.
        """
        self._invalid = None
        try:
            self.uc.emu_start(start | self._architecture.code_bit, until, timeout=round(timeout_s * 1e6))
        except unicorn.UcError as error:
            raise self._fault(error) from error
        return not (timeout_s and self.uc.query(unicorn.UC_QUERY_TIMEOUT))

    def _fault(self, error: unicorn.UcError) -> GgdqError:
        pc = self.counter
        place = f"at {pc:#010x} ({self.image.nearest(pc)})"
        if self._invalid is None:
            return GgdqError(f"the program fails {place}: {error}", str(self.image.path))
        access, address, size = self._invalid
        return GgdqError(
            f"the program {_ACCESS.get(access, 'uses')} {size} bytes {address:#010x} {place}",
            str(self.image.path),
        )

    def _on_invalid(self, _uc: Any, access: int, address: int, size: int, _value: int, _data: Any) -> bool:
        self._invalid = (access, address, size)
        return False

    def _on_block(self, _uc: Any, address: int, size: int, _data: Any) -> None:
        follows, branch = self._behind
        if address != follows:
            self._executed_cycles += branch
        if self._calls and address == self._calls[-1].returns_to:
            call = self._calls.pop()
            call.instructions = self.instructions - call.instructions
            call.cycles = self.cycles - call.cycles
            if self.on_return is not None:
                self.on_return(call)
        if address in self._watched:
            self._calls.append(self._enter(*self._watched[address]))
        known = self._blocks.get((address, size))
        if known is None:
            known = self._blocks[address, size] = self._look_at(address, size)
        executed, cycles, branch = known
        self.instructions += executed
        self._executed_cycles += cycles
        if self._flash is not None:
            self._flash.execute(address, size, address == follows)
        self._behind = (address + size, branch)

    def _look_at(self, address: int, size: int) -> tuple[int, int, int]:
        code = self.read(address, size)
        executed = self._architecture.count(code)
        if self._block_cost is None:
            return executed, 0, 0
        cost = self._block_cost(code)
        return executed, cost.cycles, cost.taken

    def _enter(self, function: str, arguments: int) -> Call:
        architecture = self._architecture
        values = [int(self.uc.reg_read(register)) for register in architecture.arguments[:arguments]]
        rest = arguments - len(values)
        if rest:
            stack = self.uc.reg_read(architecture.stack)
            values += struct.unpack(f"<{rest}I", self.read(stack, 4 * rest))
        returns_to = int(self.uc.reg_read(architecture.link)) & ~architecture.code_bit
        return Call(function, tuple(values), returns_to, self.instructions, self.cycles)

    def _map_image(self) -> None:
        """Memory for the segments where they run, and a stack."""
        pages = sorted(
            page
            for address, _, _, size in self.image.segments
            for page in range(address // _PAGE, -(-(address + size) // _PAGE))
        )
        for page in dict.fromkeys(pages):
            self.map(Memory(page * _PAGE, _PAGE), writable=True)
        for address, _, data, _ in self.image.segments:
            self.write(address, data)
        if self._architecture.globals is not None and "__global_pointer$" in self.image.symbols:
            self.uc.reg_write(self._architecture.globals, self.image.symbols["__global_pointer$"])
        self.map(_STACK, writable=True)
        self.map(Memory(_STOP, _PAGE), writable=False)


def _block_costs(rule: CycleRule) -> Callable[[bytes], BlockCost]:
    from ggdq_mcu.emulation.cycles import block_costs  # Capstone is for those who ask for cycles

    return block_costs(rule)
