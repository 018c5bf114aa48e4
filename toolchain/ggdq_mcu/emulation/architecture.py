"""How does Unicorn name the registers of a family of cores, and how do its functions call each other?"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import unicorn
from unicorn import arm_const, riscv_const

from ggdq_mcu.boards import Core


@dataclass(frozen=True)
class Architecture:
    """A family of cores in Unicorn.

    ``models``: module and prefix of the constants that name its CPU models; ``arguments``: registers of a call's first
    arguments, the first of them that of the result too; ``link``: register with the address to which a call returns;
    ``globals``: register that points at the symbol __global_pointer$, where there is one;
    ``code_bit``: what is added to an address to which is jumped; ``count``: instructions in code of whole ones.
    """

    name: int
    mode: int
    models: tuple[ModuleType, str]
    arguments: tuple[int, ...]
    stack: int
    link: int
    counter: int
    globals: int | None
    code_bit: int
    count: Callable[[bytes], int]

    def model(self, core: Core) -> int:
        """Unicorn's number of the core's CPU model."""
        module, prefix = self.models
        return int(getattr(module, prefix + core.unicorn))


def count_thumb(code: bytes) -> int:
    """Number of Thumb instructions in code that begins and ends with whole ones."""
    return _count(code, lambda halfword: halfword >= 0xE800)


def count_riscv(code: bytes) -> int:
    """Number of RISC-V instructions, of 16 and 32 bits, in code that begins and ends with whole ones."""
    return _count(code, lambda halfword: halfword & 3 == 3)


def _count(code: bytes, is_wide: Callable[[int], bool]) -> int:
    halfwords = struct.unpack(f"<{len(code) // 2}H", code)
    count = place = 0
    while place < len(halfwords):
        place += 2 if is_wide(halfwords[place]) else 1
        count += 1
    return count


_ARM = Architecture(
    unicorn.UC_ARCH_ARM,
    unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS,
    (arm_const, "UC_CPU_ARM_"),
    tuple(getattr(arm_const, f"UC_ARM_REG_R{i}") for i in range(4)),
    arm_const.UC_ARM_REG_SP,
    arm_const.UC_ARM_REG_LR,
    arm_const.UC_ARM_REG_PC,
    None,
    1,
    count_thumb,
)
_RISCV = Architecture(
    unicorn.UC_ARCH_RISCV,
    unicorn.UC_MODE_RISCV32,
    (riscv_const, "UC_CPU_"),
    tuple(getattr(riscv_const, f"UC_RISCV_REG_A{i}") for i in range(8)),
    riscv_const.UC_RISCV_REG_SP,
    riscv_const.UC_RISCV_REG_RA,
    riscv_const.UC_RISCV_REG_PC,
    riscv_const.UC_RISCV_REG_GP,
    0,
    count_riscv,
)


def architecture_of(core: Core) -> Architecture:
    """The family in Unicorn of a core that Unicorn has."""
    return _RISCV if core.family == "riscv" else _ARM
