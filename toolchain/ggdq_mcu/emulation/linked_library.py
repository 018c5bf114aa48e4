"""What does a network's library do on a core, without a board around it? Compiled, linked, and run in an emulator."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Board, Core, Memory
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.backend import Trace
from ggdq_mcu.emulation.cycles import board_rule, cycle_rule
from ggdq_mcu.emulation.flash import FlashModel
from ggdq_mcu.emulation.layers import layer_symbols
from ggdq_mcu.emulation.qemu_library import run_library
from ggdq_mcu.emulation.unicorn_machine import Call, Image, Machine, read_image
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.projects.interface import Interface, little_endian, parse_header
from ggdq_mcu.scratch import Scratch

Array = NDArray[Any]
_NAME = "network"
_FLASH = Memory(0x0800_0000, 0x0100_0000)  # where the linker puts code and constants

# By family of cores: the C library, and where code and data go; picolibc has a linker script that asks for symbols.
_LAYOUT = {
    "cortex-m": ("--specs=nano.specs", "--specs=nosys.specs", "-Ttext=0x8000000", "-Tdata=0x20000000"),
    "riscv": (
        "--specs=picolibc.specs",
        "-Wl,--defsym=__flash=0x8000000,--defsym=__flash_size=0x1000000",
        "-Wl,--defsym=__ram=0x20000000,--defsym=__ram_size=0x1000000",
    ),
}


@dataclass(frozen=True)
class LinkedLibrary:
    """A library as a program without a start, and the interface of the network in it."""

    image: Image
    interface: Interface


def compiler_of(core: Core) -> str:
    """Path of the core's compiler; GgdqError where it is not installed."""
    compiler = shutil.which(f"{core.tools}gcc") if core.tools else None
    if compiler is None:
        raise GgdqError(f"there is no {core.tools or core.name + ' '}gcc", core.name, "put its folder on PATH")
    return compiler


def link_library(plan: Plan, name: str = _NAME, flags: Sequence[str] = ("-O2",)) -> LinkedLibrary:
    """The library of a planned network whose C name is ``name``; GgdqError with the compiler's first error.

    Compiled as the firmware is.
    """
    core = plan.core
    with Scratch("library") as folder:
        texts = render_network(plan, name)
        for file, text in texts.items():
            (folder / file).write_text(text)
        line = [compiler_of(core), *core.flags, "-std=c11", "-ffunction-sections", "-fdata-sections", *flags]
        line += ["-nostartfiles", *_LAYOUT[core.family], "-Wl,--gc-sections"]
        interface = parse_header(name, texts[f"ggdq_{name}.h"])
        kept = ["reset", *(port.name for port in (*interface.inputs, *interface.outputs))]
        line += [f"-Wl,-e,{interface.function}", f"-Wl,-u,{interface.function}"]
        line += [f"-Wl,-u,ggdq_{name}_{function}" for function in kept]
        line += [file for file in texts if file.endswith((".c", ".S"))]
        done = subprocess.run([*line, "-o", "library.elf"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            errors = [text for text in done.stderr.splitlines() if "error" in text] or [done.stderr.strip()]
            raise GgdqError(f"the compiler fails: {errors[0]}", Path(line[0]).name)
        return LinkedLibrary(read_image(folder / "library.elf"), interface)


def can_run(core: Core) -> bool:
    """Is there an emulator for libraries on this core?"""
    return bool(core.unicorn or core.mve)


def trace_library(plan: Plan, sample: Mapping[str, Array], board: Board | None = None) -> Trace:
    """One inference with inputs and outputs in the arena, inputs by name: executed instructions, and estimated cycles.

    Cycles are those of memory without wait states, or of the flash of ``board``, which has the plan's core.

    In Unicorn; in QEMU, from memory of the library's own and without cycles, where Unicorn lacks the core.
    GgdqError where neither has it.
    """
    if plan.core.unicorn:
        return _in_unicorn(plan, sample, board)
    if not plan.core.mve:
        raise GgdqError(f"there is no emulator that counts instructions of {plan.core.name}", plan.graph.name)
    (outcome,) = run_library(plan, [sample], trace=True)
    outputs = tuple(outcome.outputs[name].ravel() for name in plan.graph.outputs)
    return Trace(outputs, {}, outcome.layers, outcome.instructions)


def _in_unicorn(plan: Plan, sample: Mapping[str, Array], board: Board | None) -> Trace:
    library = link_library(plan)
    rule = board_rule(board) if board else cycle_rule(plan.core)
    flash = FlashModel(board.timing, _FLASH) if board and board.timing else None
    machine = Machine(library.image, plan.core, count=True, rule=rule, flash=flash)
    symbols = {symbol.function: symbol for symbol in layer_symbols(plan, _NAME)}
    for function in symbols:
        machine.watch(function, 0)
    calls: list[Call] = []
    machine.on_return = calls.append
    inputs, outputs = (
        [(machine.call(f"ggdq_{_NAME}_{port.name}"), port) for port in ports]
        for ports in (library.interface.inputs, library.interface.outputs)
    )
    for name, (place, port) in zip(plan.graph.inputs, inputs, strict=True):
        machine.write(place, sample[name].astype(little_endian(port.dtype)).tobytes())
    if plan.graph.keeps_state:
        machine.call(f"ggdq_{_NAME}_reset")
    before, cycles_before = machine.instructions, machine.cycles
    status = machine.call(f"ggdq_{_NAME}_invoke", *(place for place, _ in (*inputs, *outputs)))
    if status != 0:
        raise GgdqError(f"the network answers with status {status}", plan.graph.name)
    instructions, cycles = Counter[int](), defaultdict[int, float](float)
    for call in calls:  # a layer that runs in strips is called for each of them
        instructions[symbols[call.function].index] += call.instructions
        cycles[symbols[call.function].index] += call.cycles
    return Trace(
        tuple(np.frombuffer(machine.read(place, port.bytes), little_endian(port.dtype)) for place, port in outputs),
        {},
        dict(instructions),
        machine.instructions - before,
        {index: round(count) for index, count in cycles.items()} if rule else {},
        round(machine.cycles - cycles_before) if rule else None,
    )
