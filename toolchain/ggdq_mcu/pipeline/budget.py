"""Does the network fit the memory there is? A plan that does, or by how much and where it does not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod

from ggdq_mcu.boards import Board
from ggdq_mcu.describe.description import constant_bytes
from ggdq_mcu.describe.memory import function_bytes
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.planning.stream_plan import Streaming, make_stream_plan
from ggdq_mcu.projects import Firmware

STACK_BYTES = 2048  # what the linker script sets aside


@dataclass(frozen=True)
class Budget:
    """Bytes of RAM and flash that the firmware may take (None: no limit), and who says so."""

    ram: int | None
    flash: int | None
    owner: str

    def less(self, ram: int, flash: int) -> Budget:
        """What is left for the plan, where so many bytes go elsewhere."""
        ram_left = None if self.ram is None else max(0, self.ram - ram)
        flash_left = None if self.flash is None else max(0, self.flash - flash)
        text = f"{self.owner}, less {flash} bytes of flash and {ram} of RAM that code and the rest of the firmware take"
        return Budget(ram_left, flash_left, text if ram or flash else self.owner)


def budget(board: Board, ram: int | None = None, flash: int | None = None) -> Budget:
    """The board's memory, or less of it."""
    limits = _least(ram, board.ram_bytes), _least(flash, board.flash_bytes)
    return Budget(*limits, board.title if limits == (board.ram_bytes, board.flash_bytes) else "the limit given")


def parse_bytes(text: str) -> int:
    """A number of bytes, or of KiB (k, KB, KiB) or MiB (m, MB, MiB); memories are counted in powers of two.

    >>> parse_bytes("20k"), parse_bytes("20KB"), parse_bytes("512")
    (20480, 20480, 512)
    """
    parts = re.fullmatch(r"\s*(\d+)\s*(?:([km])i?)?b?\s*", text, re.IGNORECASE | re.ASCII)
    if not parts or not int(parts[1]):
        raise GgdqError(f"{text!r} is not a number of bytes", "memory limit", "write it as 20000, 20k, 20KB or 1m")
    return int(parts[1]) * {"k": 1 << 10, "m": 1 << 20}.get((parts[2] or "").lower(), 1)


def fitting_plan(
    graph: QuantizedGraph,
    board: Board,
    goal: str,
    limits: Budget,
    measured: Mapping[str, Mapping[str, int]] | None = None,
    streaming: Streaming | None = None,
) -> Plan:
    """The plan that ``goal`` likes best among those within the limits; a GgdqError says by how much none is.

    Code comes on top of the flash that is known here: see ``check_firmware``. ``measured``: see ``make_plan``.
    ``streaming``: a plan of one step of a stream.
    """
    plan = best_plan(graph, board, goal, limits, measured, streaming)
    _check(plan, limits)
    return plan


def best_plan(
    graph: QuantizedGraph,
    board: Board,
    goal: str,
    limits: Budget,
    measured: Mapping[str, Mapping[str, int]] | None = None,
    streaming: Streaming | None = None,
) -> Plan:
    """The same plan; where none is within the limits, one that misses them by little."""
    room = None
    if limits.ram is not None:
        room = limits.ram - STACK_BYTES - _ends(graph, streaming is not None)

    def planned(goal: str) -> Plan:
        if streaming is None:
            return make_plan(graph, board.core, goal, room, measured)
        return make_stream_plan(graph, board.core, goal, streaming.hop, room)

    plan = planned(goal)
    if limits.flash is not None and plan.constant_bytes > limits.flash and goal != "size":
        plan = planned("size")
    return plan


def ram_bytes(plan: Plan) -> int:
    """Bytes of RAM that a plan takes in a firmware: the arena, rings, input and output, the stack."""
    return plan.arena.size + plan.ring_bytes + _plan_ends(plan) + STACK_BYTES


def exceeds(plan: Plan, limits: Budget) -> bool:
    """Does a plan take more than there is?"""
    too_much_flash = limits.flash is not None and plan.constant_bytes > limits.flash
    return too_much_flash or (limits.ram is not None and ram_bytes(plan) > limits.ram)


def _plan_ends(plan: Plan) -> int:
    return _ends(plan.graph.whole, True) if isinstance(plan.graph, StepGraph) else _ends(plan.graph)


def check_firmware(firmware: Firmware, limits: Budget) -> None:
    """GgdqError where the compiled firmware takes more than the limits allow."""
    for kind, taken, limit in (("RAM", firmware.ram, limits.ram), ("flash", firmware.flash, limits.flash)):
        if limit is not None and taken > limit:
            raise GgdqError(
                f"the firmware takes {taken} bytes of {kind} and may take {limit}: {taken - limit} too many"
                f" (code {firmware.code}, constants {firmware.rodata}, variables {firmware.data + firmware.bss})"
                f"{_most_code(firmware) if kind == 'flash' else ''}",
                f"too big for {limits.owner}",
                "allow more flash, use weights of fewer bits (--weight-bits 4), or make the network smaller"
                if kind == "flash"
                else "allow more RAM, build with --goal size, or make the network smaller",
            )


def _most_code(firmware: Firmware) -> str:
    """The network's largest function, where there is a firmware to look into."""
    sizes = function_bytes(firmware.elf) if firmware.elf.is_file() else {}
    return f"; the most code is {_largest(sizes.items())}" if sizes else ""


def _check(plan: Plan, limits: Budget) -> None:
    if limits.flash is not None and plan.constant_bytes > limits.flash:
        weights = {name: constant_bytes(kernel) for name, kernel in plan.kernels.items()}
        raise GgdqError(
            f"the weights need {plan.constant_bytes} bytes of flash and it has {limits.flash}:"
            f" {plan.constant_bytes - limits.flash} too many (the largest layer is {_largest(weights.items())})",
            f"too big for {limits.owner}",
            "use a board with more flash, or a smaller network",
        )
    ends, need = _plan_ends(plan), ram_bytes(plan)
    if limits.ram is not None and need > limits.ram:
        rings = f", rings {plan.ring_bytes}" if plan.rings else ""
        raise GgdqError(
            f"it needs {need} bytes of RAM (arena {plan.arena.size}{rings}, input and output {ends}, stack {STACK_BYTES})"
            f" and has {limits.ram}: {need - limits.ram} too many{_fullest(plan)}",
            f"too big for {limits.owner}",
            "use a board with more RAM, or a smaller input",
        )


def _fullest(plan: Plan) -> str:
    """Where the arena is fullest, and the largest buffer of all."""
    sizes = [(buffer.name, buffer.size) for buffer in plan.arena.buffers]
    sizes += [(f"{memory.ring.name} (ring)", memory.bytes) for memory in plan.rings]
    sizes += [(name, _bytes(plan.graph, name)) for name in (*plan.graph.inputs, *plan.graph.outputs)]
    where = ""
    if plan.arena.buffers:
        step, alive = plan.arena.fullest
        held = ", ".join(f"{buffer.name} {buffer.size}" for buffer in alive)
        where = f"; the arena is fullest at layer {plan.graph.nodes[step].name!r} ({held})"
    return f"{where}; the largest buffer is {_largest(sizes)}"


def _ends(graph: QuantizedGraph, frames: bool = False) -> int:
    """Bytes of the inputs, or of a frame of each, and of the outputs."""
    inputs = sum(_bytes(graph, name) // (graph.shapes[name][0] if frames else 1) for name in graph.inputs)
    return inputs + sum(_bytes(graph, name) for name in graph.outputs)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _largest(sizes: Iterable[tuple[str, int]]) -> str:
    name, size = max(sizes, key=lambda item: item[1])
    return f"{name!r} with {size} bytes"


def _bytes(graph: QuantizedGraph, name: str) -> int:
    return prod(graph.shapes[name]) * graph.by_name[name].format.storage_bits // 8
