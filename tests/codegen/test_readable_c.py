"""Generated C is what an engineer signs: no assembly in strings, no aliased accesses, lines that fit, buffers with names."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

from ggdq_mcu import resources
from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.lines import WIDTH, fold
from ggdq_mcu.codegen.network import render_network
from operators.cases import examples, with_layers
from operators.layers_in_c import network_of

CORE_NAMES = ("host", "cortex-m4", "cortex-m3", "cortex-m0plus", "cortex-m55")


@cache
def library(core: str) -> dict[str, str]:
    """A network of every operator with every kernel that the core may use."""
    layers = [layer for name in with_layers() for layer in examples(name, 2, 7)]
    return render_network(network_of(layers, CORES[core])[1], "layers")


@pytest.mark.parametrize("core", CORE_NAMES)
def test_no_line_is_too_long(core: str) -> None:
    long = [line for text in library(core).values() for line in text.splitlines() if len(line) > WIDTH]
    assert long == []


@pytest.mark.parametrize("core", CORE_NAMES)
def test_assembly_is_in_files_of_its_own(core: str) -> None:
    files = library(core)
    assert not [name for name, text in files.items() if not name.endswith(".S") and re.search(r"\basm\b|__asm", text)]
    assert ("ggdq_layers_routines.S" in files) == (core != "host")


@pytest.mark.parametrize("core", [*CORE_NAMES[1:], "rv32imc"])
def test_the_compiler_finds_no_aliased_access(core: str, tmp_path: Path) -> None:
    for name, text in library(core).items():
        (tmp_path / name).write_text(text)
    line = [f"{CORES[core].tools}gcc", *CORES[core].flags, "-std=c11", "-O2", "-fsyntax-only", "-Wstrict-aliasing=1"]
    line += ["--specs=picolibc.specs"] if core == "rv32imc" else []
    done = subprocess.run([*line, "ggdq_layers.c"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


def test_calls_name_the_buffers_of_the_arena() -> None:
    text = library("cortex-m4")["ggdq_layers.c"]
    assert len(re.findall(r"^    AT_\w+ = \d+,$", text, re.MULTILINE)) > 100
    assert re.findall(r"arena\.\w+\[(?!AT_|GGDQ_)", text) == []


def test_templates_have_no_assembly_in_strings() -> None:
    for template in resources.root("templates").rglob("*.j2"):
        assert template.name.endswith(".S.j2") or not re.search(r"\basm\b|__asm", template.read_text()), template


def test_long_lines_are_folded_where_c_allows() -> None:
    names = ", ".join(f"argument_{i}" for i in range(12))
    call = f'    call({names}, "a string, with spaces that stay", {names});'
    code, comment = fold(call).split("\n"), fold(f"/* {names} {names}\n * {names} {names} */").split("\n")
    assert all(len(line) <= WIDTH for line in (*code, *comment))
    assert '"a string, with spaces that stay"' in "".join(code)
    assert " ".join(line.strip() for line in code) == call.strip()
    assert all(line.startswith("        ") for line in code[1:])
    assert all(line.startswith(" * ") for line in comment[1:])
    assert fold("x" * 200) == "x" * 200
