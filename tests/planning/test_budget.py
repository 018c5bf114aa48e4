"""A limit is a limit: a plan within it, or by how much and where it is exceeded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import ggdq_mcu
from ggdq_mcu import boards, projects
from ggdq_mcu.boards import CORES
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.pipeline import quantized_project
from ggdq_mcu.pipeline.budget import STACK_BYTES, Budget, budget, check_firmware, fitting_plan, parse_bytes
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.projects import Firmware

EXAMPLES = Path(__file__).parents[2] / "examples"
BOARD = boards.load("nucleo_f446re")
ENDS = 32 * 32 * 3 + 10  # input and output of resnet8


def test_kernels_give_way_to_a_limit_on_the_arena(planned: Callable[..., Plan]) -> None:
    graph = planned("resnet8").graph
    free = planned("resnet8", "cortex-m4", "speed")
    tight = make_plan(graph, CORES["cortex-m4"], "speed", arena_limit=36_000)
    assert tight.arena.size <= 36_000 < free.arena.size
    assert sum(k.instructions for k in tight.kernels.values()) > sum(k.instructions for k in free.kernels.values())


def test_a_plan_within_the_limits(planned: Callable[..., Plan]) -> None:
    graph = planned("resnet8").graph
    room = 36_000 + ENDS + STACK_BYTES
    plan = fitting_plan(graph, BOARD, "speed", Budget(room, None, "the limit given"))
    assert plan.arena.size + ENDS + STACK_BYTES <= room


def test_too_little_ram_is_said_with_the_amount_and_the_place(planned: Callable[..., Plan]) -> None:
    graph = planned("resnet8").graph
    least = min(make_plan(graph, CORES["cortex-m4"], goal, 0).arena.size for goal in ("speed", "size"))
    need = least + ENDS + STACK_BYTES
    message = (
        rf"needs {need} bytes of RAM \(arena {least}, input and output {ENDS}, stack {STACK_BYTES}\) and has 20480:"
        rf" {need - 20480} too many; the arena is fullest at layer 'stage\d_\w+' \(.*8192.*\)"
    )
    with pytest.raises(GgdqError, match=message):
        fitting_plan(graph, BOARD, "speed", Budget(20480, None, "the limit given"))


def test_too_little_flash_is_said_with_the_amount_and_the_place(planned: Callable[..., Plan]) -> None:
    plan = planned("ds_cnn", "cortex-m4", "size")
    limit = plan.constant_bytes - 100
    with pytest.raises(GgdqError, match=rf"has {limit}: 100 too many \(the largest layer is '\w+'"):
        fitting_plan(plan.graph, BOARD, "balanced", Budget(None, limit, "the limit given"))


def test_a_firmware_over_its_limit_is_said_by_how_much() -> None:
    firmware = Firmware(Path("x"), code=900, rodata=100, data=10, bss=400, stack=2048)
    check_firmware(firmware, Budget(2458, 1010, "the limit given"))
    with pytest.raises(GgdqError, match="takes 1010 bytes of flash and may take 1000: 10 too many"):
        check_firmware(firmware, Budget(2458, 1000, "the limit given"))
    with pytest.raises(GgdqError, match="takes 2458 bytes of RAM and may take 2400: 58 too many"):
        check_firmware(firmware, Budget(2400, 1010, "the limit given"))


def test_limits_are_the_boards_or_less() -> None:
    assert budget(BOARD) == Budget(BOARD.ram_bytes, BOARD.flash_bytes, BOARD.title)
    assert budget(BOARD, ram=1 << 30) == budget(BOARD)
    assert budget(BOARD, ram=100, flash=50) == Budget(100, 50, "the limit given")


@pytest.mark.parametrize("text", ["", "k", "0", "-1", "1.5k", "20 x", "lots"])
def test_a_limit_that_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(GgdqError, match="not a number of bytes"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("text", "number"), [("1", 1), ("20000", 20000), ("20k", 20480), ("64K", 65536), ("1m", 1 << 20)]
)
def test_limits_are_written_in_bytes_or_kib(text: str, number: int) -> None:
    assert parse_bytes(text) == number


def test_a_firmware_over_its_flash_is_built_again_with_goal_size(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sizes = iter([20_000, 9_000])
    made = ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz")

    def compiled(folder: Path) -> Firmware:
        return Firmware(folder / "none.elf", code=next(sizes), rodata=0, data=0, bss=0, stack=2048)

    monkeypatch.setattr(projects, "compile_project", compiled)
    monkeypatch.setattr(quantized_project, "with_firmware", lambda description, firmware: description)
    built = made.build("nucleo", tmp_path / "p", goal="speed", flash=10_000)
    assert built.description.goal == "size"
    assert next(sizes, None) is None
