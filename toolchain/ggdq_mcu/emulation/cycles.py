"""How many cycles would executed code take on a core? An estimate, from the instructions alone.

The rules are the cores' published instruction timings (Arm's Technical Reference Manuals of the Cortex-M0, M0+, M3 and M4)
for memory without wait states; ``flash.py`` adds what the board's flash costs. The Cortex-M7 and M33, whose timing is not a
sum over instructions, have the M4's rule times a factor: measured cycles of the firmware of MLPerf Tiny's submissions over
the rule's (0.63 to 0.69 on an STM32F746, 0.93 to 0.96 on an STM32U575). The Cortex-M55 and M85 have none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import capstone
from capstone import arm

from ggdq_mcu.boards import Board, Core


@dataclass(frozen=True)
class CycleRule:
    """Cycles of instructions by kind; every kind that is not named takes one.

    ``load``, ``store``: of one register; ``paired_load``: of a load behind another whose result it does not need;
    ``multiple``: of a transfer of several registers, besides one for each; ``taken``: what a branch takes more where it is
    taken, ``taken_far`` where it is a call or a return by POP; ``slow``: other instructions by their number in Capstone.
    ``factor``: by which all of that is multiplied; ``text`` says the rule in words.
    """

    text: str
    load: int
    paired_load: int
    store: int
    taken: int
    taken_far: int
    slow: dict[int, int]
    multiple: int = 1
    factor: float = 1.0

    @property
    def said(self) -> str:
        """The rule in words, with its factor."""
        return self.text if self.factor == 1 else f"{self.factor:g} times the sum of: {self.text}"


@dataclass(frozen=True)
class BlockCost:
    """Cycles of a block of code that is run through, and of its last branch more where it is taken."""

    cycles: int
    taken: int


_LOADS = frozenset((arm.ARM_INS_LDR, arm.ARM_INS_LDRB, arm.ARM_INS_LDRH, arm.ARM_INS_LDRSB, arm.ARM_INS_LDRSH))
_STORES = frozenset((arm.ARM_INS_STR, arm.ARM_INS_STRB, arm.ARM_INS_STRH))
_DOUBLES = frozenset((arm.ARM_INS_LDRD, arm.ARM_INS_STRD))
_MULTIPLES = frozenset((arm.ARM_INS_LDM, arm.ARM_INS_LDMDB, arm.ARM_INS_STM, arm.ARM_INS_STMDB))
_STACKED = frozenset((arm.ARM_INS_PUSH, arm.ARM_INS_POP))
_DIVIDES = dict.fromkeys((arm.ARM_INS_SDIV, arm.ARM_INS_UDIV), 7)  # 2 to 12
_TABLES = dict.fromkeys((arm.ARM_INS_TBB, arm.ARM_INS_TBH), 2)
_M3_MULTIPLIES = {
    **dict.fromkeys((arm.ARM_INS_MLA, arm.ARM_INS_MLS), 2),
    **dict.fromkeys((arm.ARM_INS_SMULL, arm.ARM_INS_UMULL), 4),  # 3 to 5
    **dict.fromkeys((arm.ARM_INS_SMLAL, arm.ARM_INS_UMLAL), 6),  # 4 to 7
}

_M4 = CycleRule(
    "a load 2, or 1 behind another that it does not depend on; n registers at once 1 + n; a taken branch 3; a division 7; "
    "all else 1",
    load=2,
    paired_load=1,
    store=1,
    taken=2,
    taken_far=2,
    slow={**_DIVIDES, **_TABLES},
)
_M3 = CycleRule(
    _M4.text.replace("a division 7", "a division 7; a multiply-accumulate 2, a long one 6, a long multiply 4"),
    load=2,
    paired_load=1,
    store=1,
    taken=2,
    taken_far=2,
    slow={**_DIVIDES, **_TABLES, **_M3_MULTIPLIES},
)
_M0PLUS = CycleRule(
    "a load or store 2; n registers at once 1 + n; a taken branch 2, a call or a return by POP 3; all else 1",
    load=2,
    paired_load=2,
    store=2,
    taken=1,
    taken_far=2,
    slow={},
)
_M0 = CycleRule(
    "a load or store 2; n registers at once 1 + n; a taken branch 3, a call or a return by POP 4; all else 1",
    load=2,
    paired_load=2,
    store=2,
    taken=2,
    taken_far=3,
    slow={},
)
_RULES = {
    "cortex-m0": _M0,
    "cortex-m0plus": _M0PLUS,
    "cortex-m3": _M3,
    "cortex-m4": _M4,
    "cortex-m7": replace(_M4, factor=0.66),
    "cortex-m33": replace(_M4, factor=0.945),
}
#: Measured cycles over the rule's where code and data stay in the caches in front of the flash: STM32L4R5, five firmware.
_BUSY_FLASH = 1.08


def board_rule(board: Board) -> CycleRule | None:
    """The rule for a board's core, whose flash is modelled beside it where it is known.

    Only the Cortex-M4's was held against silicon with the flash's model.
    """
    rule = cycle_rule(board.core)
    return replace(rule, factor=_BUSY_FLASH) if rule is _M4 and board.timing else rule


def cycle_rule(core: Core) -> CycleRule | None:
    """The rule for a core, None where there is none that can be stood for."""
    return _RULES.get(core.name)


def block_costs(rule: CycleRule) -> Callable[[bytes], BlockCost]:
    """What gives the cost of a block of Thumb code, whole instructions of which only the last may branch."""
    decoder = capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)
    decoder.detail = True

    def cost(code: bytes) -> BlockCost:
        cycles = taken = 0
        loaded = None  # the register that the instruction before has loaded
        for instruction in decoder.disasm(code, 0):
            if instruction.id in _LOADS:
                behind = loaded is not None and loaded not in instruction.regs_access()[0]
                cycles += rule.paired_load if behind else rule.load
                loaded = instruction.operands[0].reg
            else:
                cycles += _cycles(rule, instruction)
                loaded = None
            far = instruction.id in (arm.ARM_INS_BL, arm.ARM_INS_POP)
            taken = rule.taken_far if far else rule.taken
        return BlockCost(cycles, taken)

    return cost


def _cycles(rule: CycleRule, instruction: Any) -> int:
    """Cycles of an instruction that is no load of one register."""
    if instruction.id in _STORES:
        return rule.store
    if instruction.id in _DOUBLES:
        return rule.multiple + 2
    if instruction.id in _STACKED:
        return rule.multiple + len(instruction.operands)
    if instruction.id in _MULTIPLES:
        return rule.multiple + len(instruction.operands) - 1  # the first is the address
    return rule.slow.get(instruction.id, 1)
