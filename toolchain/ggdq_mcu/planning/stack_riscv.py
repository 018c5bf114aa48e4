"""What does a function of RISC-V code do with the stack, and whom does it call? From its instructions."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import capstone
from capstone import riscv

from ggdq_mcu.errors import GgdqError

_SP, _RA = riscv.RISCV_REG_X2, riscv.RISCV_REG_X1
_LUI, _AUIPC = (riscv.RISCV_INS_LUI, riscv.RISCV_INS_C_LUI), (riscv.RISCV_INS_AUIPC,)
_ADD_CONSTANT = (riscv.RISCV_INS_ADDI, riscv.RISCV_INS_C_ADDI, riscv.RISCV_INS_C_ADDI16SP)
_SET = (riscv.RISCV_INS_C_LI,)
_ADD, _SUBTRACT = (riscv.RISCV_INS_ADD, riscv.RISCV_INS_C_ADD), (riscv.RISCV_INS_SUB, riscv.RISCV_INS_C_SUB)
_JUMPS = (riscv.RISCV_INS_JAL, riscv.RISCV_INS_C_JAL, riscv.RISCV_INS_C_J)
_INDIRECT = (riscv.RISCV_INS_JALR, riscv.RISCV_INS_C_JALR, riscv.RISCV_INS_C_JR)


@dataclass
class Seen:
    """Bytes that a function puts on the stack, functions that it jumps to, constants in its registers at any time."""

    frame: int = 0
    calls: set[int] = field(default_factory=set)
    through_pointer: bool = False
    constants: set[int] = field(default_factory=set)


def look_at(name: str, start: int, code: bytes, functions: Container[int], elf: Path) -> Seen:
    """The function ``name`` whose code lies at ``start``; GgdqError where its frame is of variable size."""
    decoder = capstone.Cs(capstone.CS_ARCH_RISCV, capstone.CS_MODE_RISCV32 | capstone.CS_MODE_RISCVC)
    decoder.detail, decoder.skipdata = True, True
    seen, known = Seen(), dict[int, int]()
    for instruction in decoder.disasm(code, start):
        if instruction.id == 0:  # no instruction
            continue
        operands = instruction.operands
        if instruction.id in _JUMPS:
            target = instruction.address + operands[-1].imm
            if target in functions and (target != start or "jal" in instruction.mnemonic):
                seen.calls.add(target)
        elif instruction.id in _INDIRECT:
            _jump_to_register(seen, known, operands, functions)
        elif operands and operands[0].type == riscv.RISCV_OP_REG:
            if operands[0].reg == _SP:
                seen.frame += _lowered(name, instruction, known, elf)
            else:
                _remember(known, instruction)
                seen.constants.update(known.values())
    return seen


def _jump_to_register(seen: Seen, known: dict[int, int], operands: Any, functions: Container[int]) -> None:
    """A call or tail call through a register; a return otherwise."""
    registers = [operand.reg for operand in operands if operand.type == riscv.RISCV_OP_REG]
    offsets = [operand.imm for operand in operands if operand.type == riscv.RISCV_OP_IMM]
    base = registers[-1] if registers else _RA
    target = known.get(base, -1) + (offsets[0] if offsets else 0)
    if base in known and target in functions:
        seen.calls.add(target)
    elif base != _RA:
        seen.through_pointer = True


def _lowered(name: str, instruction: Any, known: dict[int, int], elf: Path) -> int:
    """Bytes by which an instruction that writes the stack pointer lowers it."""
    operands = instruction.operands
    last = operands[-1]
    if instruction.id in _ADD_CONSTANT and last.type == riscv.RISCV_OP_IMM:
        from_frame_pointer = len(operands) == 3 and operands[1].reg != _SP
        return 0 if from_frame_pointer else max(0, -last.imm)
    if instruction.id in _ADD and last.type == riscv.RISCV_OP_REG and last.reg in known:
        return max(0, -_signed(known[last.reg]))
    if instruction.id in _ADD + _SUBTRACT:
        raise GgdqError(f"{name} has a frame of variable size", str(elf))
    return 0


def _remember(known: dict[int, int], instruction: Any) -> None:
    """Follows constants through the register that an instruction writes."""
    operands = instruction.operands
    register, last = operands[0].reg, operands[-1]
    value = None
    if last.type == riscv.RISCV_OP_IMM:
        source = operands[1].reg if len(operands) == 3 else register
        if instruction.id in _LUI:
            value = last.imm << 12
        elif instruction.id in _AUIPC:
            value = instruction.address + (last.imm << 12)
        elif instruction.id in _SET or (instruction.id in _ADD_CONSTANT and instruction.mnemonic == "li"):
            value = last.imm
        elif instruction.id in _ADD_CONSTANT and source in known:
            value = known[source] + last.imm
    if value is None:
        known.pop(register, None)
    else:
        known[register] = value & 0xFFFFFFFF


def _signed(value: int) -> int:
    return value - (value >> 31 << 32)
