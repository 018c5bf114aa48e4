"""The bound on the stack is the compiler's figure for C, covers assembly, and no run exceeds it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from unicorn import arm_const

from ggdq_mcu.boards import CORES, Memory
from ggdq_mcu.emulation.unicorn_machine import Machine, read_image
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.stack import worst_stack

LIBC = {"cortex-m": ["--specs=nano.specs", "--specs=nosys.specs"], "riscv": ["-nostdlib", "-ffreestanding"]}
CHAIN = """
#include <stdint.h>
void use(volatile int32_t *);
__attribute__((noinline)) void use(volatile int32_t *p) { p[0] = 1; }
__attribute__((noinline)) static void leaf(int n) { volatile int32_t big[%d]; big[n] = n; use(big); }
__attribute__((noinline)) static void side(int n) { volatile int32_t few[5]; few[n] = n; use(few); }
void top(int n); void top(int n) { leaf(n); side(n); use((volatile int32_t[3]){0}); }
"""


def compiled(folder: Path, text: str, core: str = "cortex-m4", root: str = "top") -> Path:
    (folder / "code.c").write_text(text)
    chosen = CORES[core]
    line = [f"{chosen.tools}gcc", *chosen.flags, "-O2", "-fstack-usage", "-nostartfiles", f"-Wl,-e,{root}"]
    line += [*LIBC[chosen.family], "code.c", "-lgcc", "-o", "code.elf"]
    subprocess.run(line, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return folder / "code.elf"


def compiler_figures(folder: Path) -> dict[str, int]:
    lines = [line.split("\t") for file in folder.glob("*.su") for line in file.read_text().splitlines()]
    return {place.rsplit(":", 1)[1]: int(size) for place, size, _ in lines}


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m33", "cortex-m55", "rv32imc"])
@pytest.mark.parametrize("words", [1, 100, 127, 128, 500, 1021, 5000])
def test_the_deepest_chain_by_the_compilers_figures(tmp_path: Path, core: str, words: int) -> None:
    use = worst_stack(compiled(tmp_path, CHAIN % words, core), "top")
    figures = compiler_figures(tmp_path)
    assert use is not None
    chain = ("top", "leaf", "use") if figures["leaf"] > figures["side"] else ("top", "side", "use")
    assert use.chain[:2] == chain[:2]
    assert use.bytes == sum(figures[name] for name in use.chain)


@pytest.mark.parametrize("core", ["cortex-m4", "rv32imc"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("volatile int k; int top(int n); int top(int n) { return n ? n * top(n - 1) + k : k; }", "calls itself"),
        ("void use(char *); void use(char *p) { *(volatile char *)p = 1; }\n"
         "void top(int n); void top(int n) { char a[n]; use(a); }", "variable size"),
    ],
)  # fmt: skip
def test_code_without_a_bound_is_refused(tmp_path: Path, text: str, reason: str, core: str) -> None:
    with pytest.raises(GgdqError, match=reason):
        worst_stack(compiled(tmp_path, text, core), "top")


@pytest.mark.parametrize("core", ["cortex-m4", "rv32imc"])
def test_a_call_through_a_pointer_may_be_of_any_generated_function(tmp_path: Path, core: str) -> None:
    text = """
        struct set { void (*f)(volatile char *); };
        static void ggdq_small(volatile char *p) { volatile char a[40]; a[1] = 1; p[0] = a[1]; }
        static void ggdq_large(volatile char *p) { volatile char a[400]; a[1] = 1; p[0] = a[1]; }
        const struct set sets[2] = { { ggdq_small }, { ggdq_large } };
        void top(int n); void top(int n) { volatile char c; sets[n].f(&c); c = 1; }
    """
    use = worst_stack(compiled(tmp_path, text, core), "top")
    figures = compiler_figures(tmp_path)
    assert use is not None
    assert use.chain == ("top", "ggdq_large")
    assert use.bytes == figures["top"] + figures["ggdq_large"]


@pytest.mark.parametrize("name", ["ds_cnn", "resnet8", "mobilenet", "autoencoder"])
def test_an_inference_stays_within_its_bound(
    name: str, planned: Callable[..., Plan], linked: Callable[[str], Path]
) -> None:
    elf = linked(name)
    use = worst_stack(elf, f"ggdq_{name}_invoke")
    assert use is not None
    for function, figure in compiler_figures(elf.parent).items():
        exact = worst_stack(elf, function) if function in read_image(elf).symbols else None
        assert exact is None or exact.bytes >= figure
    machine = Machine(read_image(elf), CORES["cortex-m4"])
    machine.map(Memory(0x2400_0000, 0x10_0000), writable=True)
    end = int(machine.uc.reg_read(arm_const.UC_ARM_REG_SP))
    machine.call(f"ggdq_{name}_invoke", 0x2400_0000, 0x2408_0000)
    end = int(machine.uc.reg_read(arm_const.UC_ARM_REG_SP))
    below = machine.read(end - 4096, 4096)
    touched = 4096 - next(i for i, byte in enumerate(below) if byte)
    assert 0 < touched <= use.bytes
