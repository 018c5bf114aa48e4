"""Cycles are those that a person counts by the published timings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.emulation.cycles import block_costs, cycle_rule
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


@pytest.mark.parametrize("name", ["cortex-m7", "cortex-m33", "cortex-m55", "rv32imc"])
def test_cores_whose_timing_is_no_sum_have_no_rule(name: str) -> None:
    assert cycle_rule(CORES[name]) is None
