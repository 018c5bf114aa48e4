"""Benchmark networks, compiled once in a run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from benchmarks.networks import network

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import make_plan


@pytest.fixture(scope="session")
def planned() -> Callable[..., Plan]:
    """The plan of a benchmark network by name, core and goal."""
    quantized = cache(network)
    return cache(lambda name, core="cortex-m4", goal="balanced": make_plan(quantized(name), CORES[core], goal))


@pytest.fixture(scope="session")
def linked(planned: Callable[..., Plan], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The library of a benchmark network, linked for a Cortex-M4 with nothing else; .su files lie beside it."""

    @cache
    def link(name: str) -> Path:
        folder = tmp_path_factory.mktemp(name)
        plan = planned(name)
        for file, text in render_network(plan, name).items():
            (folder / file).write_text(text)
        sources = [file.name for file in folder.glob("*.[cS]")]
        line = ["arm-none-eabi-gcc", *plan.core.flags, "-std=c11", "-O2", "-fstack-usage", "-nostartfiles"]
        line += ["--specs=nano.specs", "--specs=nosys.specs", "-Ttext=0x8000000", "-Tdata=0x20000000"]
        subprocess.run([*line, f"-Wl,-e,ggdq_{name}_invoke", *sources, "-o", "network.elf"], cwd=folder, check=True)
        return folder / "network.elf"

    return link
