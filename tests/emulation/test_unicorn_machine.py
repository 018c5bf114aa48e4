"""Single functions of an ELF on each core: results, memory, and instructions that a person has counted."""

from __future__ import annotations

import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.boards import CORES
from ggdq_mcu.emulation.architecture import count_riscv, count_thumb
from ggdq_mcu.emulation.unicorn_machine import Call, Machine, read_image
from ggdq_mcu.errors import GgdqError

EMULATED = [core.name for core in CORES.values() if core.unicorn]

SOURCE = """
#include <stdint.h>
int32_t table[4] = {1, 2, 3, 4};
__attribute__((noipa)) int32_t nine(
    int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int32_t f, int32_t g, int32_t h, int32_t i)
{
    return a + 10 * b + 100 * c + 1000 * d + 10000 * e + 100000 * f + 1000000 * g + 10000000 * h + 100000000 * i;
}
int32_t digits(void) { return nine(1, 2, 3, 4, 5, 6, 7, 8, 9); }
__attribute__((noinline)) int32_t sum(const int32_t *x, int32_t n)
{
    int32_t s = 0;
    for (int32_t i = 0; i < n; i++) {
        s += x[i];
    }
    return s;
}
int32_t twice(const int32_t *x) { return sum(x, 2) + sum(table, 4); }
__attribute__((naked)) void five(void)
{
#ifdef __riscv
    __asm__("li a0, 1\\n\\tli a1, 1\\n\\tbne a0, a1, 1f\\n\\tnop\\n1:\\tret");
#else
    __asm__("movs r0, #1\\n\\tcmp r0, #1\\n\\tbne 1f\\n\\tnop\\n1:\\tbx lr");
#endif
}
int32_t nowhere(void) { return *(volatile int32_t *)0x66660000u; }
"""


@pytest.fixture(scope="module", params=EMULATED)
def machine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    core = CORES[request.param]
    folder = tmp_path_factory.mktemp("machine")
    (folder / "code.c").write_text(SOURCE)
    line = [
        f"{core.tools}gcc",
        *core.flags,
        "-O2",
        "-std=gnu11",
        "-nostdlib",
        "-ffreestanding",
        "-Wl,-e,twice",
        "-Ttext=0x8000",
    ]
    subprocess.run([*line, "-Tdata=0x20000000", "code.c", "-lgcc", "-o", "code.elf"], cwd=folder, check=True)
    return Machine(read_image(folder / "code.elf"), core, count=True)


def test_arguments_that_have_no_register_go_over_the_stack(machine: Machine) -> None:
    calls: list[Call] = []
    machine.watch("nine", 9)
    machine.on_return = calls.append
    assert machine.call("nine", *range(9, 0, -1)) == 123456789
    assert machine.call("digits") == 987654321
    assert [call.arguments for call in calls] == [(1, 2, 3, 4, 5, 6, 7, 8, 9)]


def test_memory_is_read_and_written(machine: Machine) -> None:
    assert machine.call("sum", machine.address("table"), 4) == 10
    machine.write(machine.address("table"), struct.pack("<i", -9))
    assert machine.call("sum", machine.address("table"), 4) == 0
    machine.write(machine.address("table"), struct.pack("<i", 1))
    assert machine.read(machine.address("table"), 8) == struct.pack("<2i", 1, 2)


def test_instructions_are_counted_one_by_one(machine: Machine) -> None:
    before = machine.instructions
    machine.call("five")
    assert machine.instructions - before == 5


def test_watched_calls_are_told_with_arguments_and_instructions(machine: Machine) -> None:
    calls: list[Call] = []
    machine.watch("sum", 2)
    machine.on_return = calls.append
    table = machine.address("table")
    before = machine.instructions
    assert machine.call("twice", table) == 13
    assert [call.arguments for call in calls] == [(table, 2), (table, 4)]
    assert 0 < calls[0].instructions < calls[1].instructions < machine.instructions - before


def test_a_wrong_access_is_told_with_address_and_function(machine: Machine) -> None:
    with pytest.raises(GgdqError, match=r"reads 4 bytes 0x66660000 at 0x\w+ \(nowhere\+0x"):
        machine.call("nowhere")


def test_a_symbol_that_is_not_there_is_named(machine: Machine) -> None:
    with pytest.raises(GgdqError, match="no symbol absent"):
        machine.call("absent")


def test_a_core_that_unicorn_lacks_is_named(machine: Machine) -> None:
    with pytest.raises(GgdqError, match="Unicorn has no cortex-m55"):
        Machine(machine.image, CORES["cortex-m55"])


@given(st.lists(st.booleans(), max_size=20))
def test_wide_thumb_instructions_count_once(wide: list[bool]) -> None:
    code = b"".join(struct.pack("<HH", 0xF8D0, 0xE800) if w else struct.pack("<H", 0xBF00) for w in wide)
    assert count_thumb(code) == len(wide)


@given(st.lists(st.booleans(), max_size=20))
def test_wide_riscv_instructions_count_once(wide: list[bool]) -> None:
    code = b"".join(struct.pack("<HH", 0x0513, 0x0001) if w else struct.pack("<H", 0x0001) for w in wide)
    assert count_riscv(code) == len(wide)
