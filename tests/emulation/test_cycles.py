"""Cycles are those that a person counts by the published timings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ggdq_mcu.boards import CORES, Cache, Flash, Memory, all_boards
from ggdq_mcu.emulation.cycles import block_costs, board_rule, cycle_rule
from ggdq_mcu.emulation.flash import FlashModel
from ggdq_mcu.emulation.unicorn_machine import Call, Machine, read_image

# By core: push 1+3, movs 1; three times: ldr, ldr behind it, ldr of its result, adds, str, subs, bne; two bne taken; ldm 1+2;
# pop 1+3 and the return; then push 1+1, nop 1, pop 1+1 and its return, which is the second call.
SOURCE = """
.syntax unified
.thumb
.global twice, loops, returns, data
.type twice, %function
.type loops, %function
.type returns, %function
twice:
    push {r4, lr}
    ldr r0, =data
    bl loops
    bl returns
    pop {r4, pc}
.ltorg
loops:
    push {r4, r5, lr}
    movs r1, #3
1:  ldr r2, [r0]
    ldr r3, [r0, #4]
    ldr r4, [r3]
    adds r2, r2, r4
    str r2, [r0]
    subs r1, #1
    bne 1b
    ldmia r0!, {r2, r3}
    pop {r4, r5, pc}
returns:
    push {lr}
    nop
    pop {pc}
.data
.balign 4
data: .word 1, data
"""
LOOPS = {
    "cortex-m4": 4 + 1 + 3 * (2 + 1 + 2 + 1 + 1 + 1 + 1) + 2 * 2 + 3 + 4 + 2,
    "cortex-m3": 4 + 1 + 3 * (2 + 1 + 2 + 1 + 1 + 1 + 1) + 2 * 2 + 3 + 4 + 2,
    "cortex-m0plus": 4 + 1 + 3 * (2 + 2 + 2 + 1 + 2 + 1 + 1) + 2 * 1 + 3 + 4 + 2,
    "cortex-m0": 4 + 1 + 3 * (2 + 2 + 2 + 1 + 2 + 1 + 1) + 2 * 2 + 3 + 4 + 3,
}
RETURNS = {
    "cortex-m4": 2 + 1 + 2 + 2,
    "cortex-m3": 2 + 1 + 2 + 2,
    "cortex-m0plus": 2 + 1 + 2 + 2,
    "cortex-m0": 2 + 1 + 2 + 3,
}


@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_takes_the_cycles_that_a_person_counts(name: str, tmp_path: Path) -> None:
    core = CORES[name]
    (tmp_path / "code.s").write_text(SOURCE)
    line = ["arm-none-eabi-gcc", *core.flags, "-nostdlib", "-Wl,-e,twice", "-Ttext=0x8000", "-Tdata=0x20000000"]
    subprocess.run([*line, "code.s", "-o", "code.elf"], cwd=tmp_path, check=True)
    machine = Machine(read_image(tmp_path / "code.elf"), core, count=True, rule=cycle_rule(core))
    calls: list[Call] = []
    for function in ("loops", "returns"):
        machine.watch(function, 0)
    machine.on_return = calls.append
    machine.call("twice")
    assert [(call.function, call.cycles) for call in calls] == [("loops", LOOPS[name]), ("returns", RETURNS[name])]


@pytest.mark.parametrize(
    ("code", "m3", "m4"),
    [
        ("02fb0410", 2, 1),  # mla r0, r2, r4, r1
        ("82fb0401", 4, 1),  # smull r0, r1, r2, r4
        ("c2fb0401", 6, 1),  # smlal r0, r1, r2, r4
        ("92fbf4f0", 7, 7),  # sdiv r0, r2, r4
        ("d1e90023", 3, 3),  # ldrd r2, r3, [r1]
        ("c1e90023", 3, 3),  # strd r2, r3, [r1]
        ("90e8f000", 5, 5),  # ldm.w r0, {r4-r7}
        ("2de9f04f", 10, 10),  # push.w {r4-r11, lr}
        ("51f8043b51f8044b", 3, 3),  # ldr r3, [r1], #4 and ldr r4, [r1], #4: the address is no load's result
        ("1968096a", 4, 4),  # ldr r1, [r3] and ldr r1, [r1, #32]
        ("2ffa91f0", 1, 1),  # smlad and the like, sxtb16 among them
    ],
)
def test_instructions_take_what_the_manuals_say(code: str, m3: int, m4: int) -> None:
    for name, cycles in (("cortex-m3", m3), ("cortex-m4", m4)):
        rule = cycle_rule(CORES[name])
        assert rule is not None
        assert block_costs(rule)(bytes.fromhex(code)).cycles == cycles


@pytest.mark.parametrize("name", ["cortex-m55", "rv32imc"])
def test_cores_without_published_timing_have_no_rule(name: str) -> None:
    assert cycle_rule(CORES[name]) is None


CACHED = Flash(5, Cache(2, 32), Cache(1, 16), "a test")
PREFETCH = Flash(2, None, None, "a test")
AT = Memory(0x0800_0000, 0x1000)


def test_a_line_is_read_once_until_another_takes_its_place() -> None:
    model = FlashModel(CACHED, AT)
    lines = 17.7 / 6 * 6 * 16 / 32  # a line of data
    for place, misses in ((0, 1), (12, 1), (16, 2), (20, 2), (0, 3)):
        model.read(AT.origin + place, 4)
        assert model.cycles == pytest.approx(misses * lines)  # sums of floats
    model.read(AT.origin + 14, 4)  # two lines
    assert model.cycles == pytest.approx(4 * lines)


def test_the_least_recently_used_line_of_code_goes() -> None:
    model = FlashModel(CACHED, AT)
    for place, misses in ((0, 1), (32, 2), (0, 2), (64, 3), (0, 3), (32, 4)):
        model.execute(AT.origin + place, 8, in_sequence=False)
        assert model.cycles == pytest.approx(5 * misses)
    model.execute(0x2000_0000, 64, in_sequence=False)  # RAM
    assert model.cycles == pytest.approx(20)


def test_without_a_cache_each_read_and_each_branch_waits() -> None:
    model = FlashModel(PREFETCH, AT)
    model.read(AT.origin, 4)
    model.read(AT.origin, 4)
    model.execute(AT.origin, 64, in_sequence=True)
    assert model.cycles == 4
    model.execute(AT.origin, 64, in_sequence=False)
    assert model.cycles == 6


def test_code_and_data_share_a_unified_cache() -> None:
    cache = Cache(2, 32)
    model = FlashModel(Flash(5, cache, cache, "a test"), AT)
    model.execute(AT.origin, 8, in_sequence=False)
    model.read(AT.origin + 16, 4)
    assert model.cycles == pytest.approx(5)
    model.read(AT.origin + 32, 4)
    model.read(AT.origin + 64, 4)
    model.execute(AT.origin, 8, in_sequence=False)
    assert model.cycles == pytest.approx(10 + 2 * 17.7)


def test_a_loop_in_flash_waits_for_its_lines_only_once(tmp_path: Path) -> None:
    core = CORES["cortex-m4"]
    (tmp_path / "code.s").write_text(SOURCE)
    line = ["arm-none-eabi-gcc", *core.flags, "-nostdlib", "-Wl,-e,twice", "-Ttext=0x8000", "-Tdata=0x8800"]
    subprocess.run([*line, "code.s", "-o", "code.elf"], cwd=tmp_path, check=True)
    flash = FlashModel(Flash(5, Cache(32, 32), Cache(8, 32), "a test"), Memory(0x8000, 0x1000))
    machine = Machine(read_image(tmp_path / "code.elf"), core, count=True, rule=cycle_rule(core), flash=flash)
    machine.call("twice")
    once = flash.cycles
    assert once > 17.7  # the data's line, and lines of code
    machine.call("twice")
    assert flash.cycles == once


def test_every_board_whose_flash_is_modelled_has_a_rule_for_its_core() -> None:
    modelled = [board for board in all_boards() if board.timing]
    assert len(modelled) > 20
    for board in modelled:
        assert board_rule(board) is not None
        assert board.timing is not None and board.timing.text.startswith(f"{board.timing.wait_states} wait states")
