"""What the network uses is what its header says: nothing outside the arena, no heap, no more than the targets."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from benchmarks.memory import TARGETS
from benchmarks.networks import NETWORKS
from elftools.elf.elffile import ELFFile

from ggdq_mcu.boards import CORES, Memory
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.unicorn_machine import Machine, read_image
from ggdq_mcu.planning.plan import Plan

HEAP = {"malloc", "free", "calloc", "realloc", "_sbrk", "_malloc_r", "_free_r", "sbrk"}
CANARY = b"\xa5" * 256
INPUT, OUTPUT = 0x2400_0000, 0x2408_0000


def ends(plan: Plan) -> tuple[np.ndarray, bytes, int]:
    """Random input, the reference's output for it, and the output's size."""
    (source,), (result,) = plan.graph.inputs, plan.graph.outputs
    form = plan.graph.by_name[source].format
    sample = (
        np.random.default_rng(3).integers(form.low, form.high + 1, (1, *plan.graph.shapes[source])).astype(form.dtype)
    )
    output = plan.graph.run({source: sample})[result].tobytes()
    return sample, output, len(output)


@pytest.mark.parametrize("name", NETWORKS)
def test_arena_targets(name: str, planned: Callable[..., Plan]) -> None:
    arena = planned(name).arena
    assert arena.size <= TARGETS[name]["arena"]
    assert arena.bound <= arena.size <= 1.005 * arena.bound


@pytest.mark.parametrize("name", NETWORKS)
def test_no_write_outside_the_arena(name: str, planned: Callable[..., Plan], linked: Callable[[str], Path]) -> None:
    """The arena is all of the library's static memory; its neighbours and those of the output keep their bytes."""
    plan, image = planned(name), read_image(linked(name))
    machine = Machine(image, CORES["cortex-m4"])
    (arena,) = [symbol for symbol in image.symbols if symbol.split(".")[0] == "arena"]
    place, size = image.symbols[arena], plan.arena.size
    machine.map(Memory(INPUT, 0x10_0000), writable=True)
    sample, expected, count = ends(plan)
    machine.write(place + size, CANARY)
    machine.write(INPUT, CANARY + sample.tobytes() + CANARY)
    machine.write(OUTPUT, CANARY + bytes(count) + CANARY)
    assert machine.call(f"ggdq_{name}_invoke", INPUT + len(CANARY), OUTPUT + len(CANARY)) == 0
    assert machine.read(place + size, len(CANARY)) == CANARY
    assert machine.read(INPUT, 2 * len(CANARY) + sample.nbytes) == CANARY + sample.tobytes() + CANARY
    assert machine.read(OUTPUT, 2 * len(CANARY) + count) == CANARY + expected + CANARY


@pytest.mark.parametrize("name", NETWORKS)
def test_static_memory_is_the_arena_and_nothing_is_a_heap(
    name: str, planned: Callable[..., Plan], linked: Callable[[str], Path]
) -> None:
    with linked(name).open("rb") as file:
        program = ELFFile(file)
        static = sum(s["sh_size"] for s in program.iter_sections() if s["sh_flags"] & 3 == 3)
        symbols = {symbol.name for symbol in program.get_section_by_name(".symtab").iter_symbols()}
    assert planned(name).arena.size <= static <= planned(name).arena.size + 8
    assert not symbols & HEAP


@pytest.mark.parametrize("name", ["ds_cnn", "autoencoder"])
def test_plain_c_under_the_address_sanitizer(name: str, planned: Callable[..., Plan], tmp_path: Path) -> None:
    """Red zones lie around the arena, the weights, and the caller's input and output."""
    plan = planned(name, "host")
    sample, expected, count = ends(plan)
    for file, text in render_network(plan, name).items():
        (tmp_path / file).write_text(text)
    (tmp_path / "main.c").write_text(
        f'#include "ggdq_{name}.h"\n#include <stdio.h>\n'
        f"static ggdq_{name}_input_t in[{sample.size}];\n"
        f"static ggdq_{name}_output_t out[{count} / sizeof(ggdq_{name}_output_t)];\n"
        "int main(void)\n{\n    if (fread(in, 1, sizeof in, stdin) != sizeof in) return 1;\n"
        f"    if (ggdq_{name}_invoke(in, out)) return 1;\n"
        "    return fwrite(out, 1, sizeof out, stdout) != sizeof out;\n}\n"
    )
    sources = sorted(file.name for file in tmp_path.glob("*.[cS]"))
    line = ["cc", "-std=c11", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", *sources, "-o", "run"]
    subprocess.run(line, cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "run"], input=sample.tobytes(), capture_output=True, check=True)
    assert done.stdout == expected
