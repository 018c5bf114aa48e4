"""C with a core's own instructions says so where it is compiled for another; constants are declared as they are aligned."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from ggdq_mcu.boards import CORES, Core
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.model import quantize
from ggdq_mcu.planning.search import make_plan

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits.h5"


def compiled(folder: Path, core: Core, flags: tuple[str, ...]) -> str:
    """What the core's compiler says of the layers, with ``flags``."""
    command = [f"{core.tools}gcc", *flags, "-std=gnu11", "-fsyntax-only", str(folder / "ggdq_net.c")]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The example's library for three cores and for this computer."""
    network, folders = quantize(EXAMPLE).network, {}
    for core in ("cortex-m4", "cortex-m3", "cortex-m55", "host"):
        folders[core] = tmp_path_factory.mktemp(core)
        for name, text in render_network(make_plan(network, CORES[core]), "net").items():
            (folders[core] / name).write_text(text)
    return folders


@pytest.mark.parametrize(
    ("core", "other"), [("cortex-m4", "cortex-m3"), ("cortex-m3", "cortex-m0"), ("cortex-m55", "cortex-m4")]
)
def test_another_core_is_refused_by_the_name_of_the_right_one(made: dict[str, Path], core: str, other: str) -> None:
    assert f"compile it for {core}" in compiled(made[core], CORES[core], CORES[other].flags)
    assert compiled(made[core], CORES[core], CORES[core].flags) == ""


def test_plain_c_is_for_every_core(made: dict[str, Path]) -> None:
    assert compiled(made["host"], CORES["cortex-m4"], CORES["cortex-m3"].flags) == ""


def test_every_declaration_of_constants_has_the_alignment_of_its_definition(made: dict[str, Path]) -> None:
    for folder in made.values():
        declared = re.findall(r"^extern (.*);$", (folder / "ggdq_net_weights.h").read_text(), re.MULTILINE)
        defined = re.findall(r"^(_Alignas.*) = \{$", (folder / "ggdq_net_weights.c").read_text(), re.MULTILINE)
        assert declared
        assert sorted(declared) == sorted(defined)
