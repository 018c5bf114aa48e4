"""Does the network fit the board? Said before anything is compiled, with the numbers."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from ggdq_mcu.boards import Board
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline.description import constant_bytes
from ggdq_mcu.planning.plan import Plan

STACK_BYTES = 2048  # what the linker script sets aside


def check_fits(plan: Plan, board: Board) -> None:
    """GgdqError where the weights alone exceed the flash, or arena, ends and stack the RAM.

    Code comes on top, so a network that passes may still be too large by a few KiB: the linker tells then.
    """
    weights = {name: constant_bytes(kernel) for name, kernel in plan.kernels.items()}
    total = sum(weights.values())
    if board.flash_bytes is not None and total > board.flash_bytes:
        raise GgdqError(
            f"the weights need {total} bytes of flash and it has {board.flash_bytes}"
            f" (the largest layer is {_largest(weights.items())})",
            f"too big for {board.title}",
            "use a board with more flash, or a smaller network",
        )
    ends = sum(_bytes(plan, name) for name in (*plan.graph.inputs, *plan.graph.outputs))
    need = plan.arena.size + ends + STACK_BYTES
    if board.ram_bytes is not None and need > board.ram_bytes:
        buffers = [(buffer.name, buffer.size) for buffer in plan.arena.buffers]
        buffers += [(name, _bytes(plan, name)) for name in (*plan.graph.inputs, *plan.graph.outputs)]
        raise GgdqError(
            f"it needs {need} bytes of RAM"
            f" (arena {plan.arena.size}, input and output {ends}, stack {STACK_BYTES})"
            f" and has {board.ram_bytes}; the largest buffer is {_largest(buffers)}",
            f"too big for {board.title}",
            "use a board with more RAM, or a smaller input",
        )


def _largest(sizes: Iterable[tuple[str, int]]) -> str:
    name, size = max(sizes, key=lambda item: item[1])
    return f"{name!r} with {size} bytes"


def _bytes(plan: Plan, name: str) -> int:
    return prod(plan.graph.shapes[name]) * plan.graph.by_name[name].format.storage_bits // 8
