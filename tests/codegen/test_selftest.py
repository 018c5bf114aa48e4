"""The self-test passes on a whole network and fails on one whose constants have changed by a bit."""

from __future__ import annotations

import re
import subprocess
import zlib
from pathlib import Path

import numpy as np
import pytest

import ggdq_mcu
from ggdq_mcu import boards
from ggdq_mcu.codegen.selftest import crc_of
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.model import samples_of
from ggdq_mcu.operators.extremum import Extremum
from ggdq_mcu.operators.input import Input
from ggdq_mcu.pipeline.quantized_project import Quantized, Target, build_quantized
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

EXAMPLES = Path(__file__).parents[2] / "examples"
MAIN = """
#include "ggdq_network_selftest.h"
#include <stdio.h>
int main(void)
{
    printf("%d %d\\n", ggdq_network_constants_crc() == GGDQ_NETWORK_CONSTANTS_CRC, ggdq_network_selftest());
    return 0;
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = ggdq_mcu.quantize(EXAMPLES / "digits.h5", EXAMPLES / "digits.npz")
    folder = model.build("host", tmp_path_factory.mktemp("digits") / "p", compile=False).folder
    return folder / "lib" / "ggdq_network" / "src"


def run(library: Path, weights: str, folder: Path) -> str:
    """Whether the checksum is right, and what the self-test returns, with these weights."""
    (folder / "main.c").write_text(MAIN)
    (folder / "weights.c").write_text(weights)
    sources = [str(path) for path in library.glob("*.c") if not path.name.endswith("_weights.c")]
    line = ["cc", *STRICT, "-O1", f"-I{library}", *sources, "main.c", "weights.c", "-o", "run"]
    subprocess.run(line, cwd=folder, check=True)
    return subprocess.run([str(folder / "run")], check=True, capture_output=True, text=True).stdout.strip()


def changed(weights: str, array: str) -> str:
    """The weights with the lowest bit of one number turned over."""
    match = re.search(rf" {array}\[\d+\] = {{\n\s*(-?\d+)", weights)
    assert match
    return weights[: match.start(1)] + str(int(match[1]) ^ 1) + weights[match.end(1) :]


def test_a_whole_network_passes(library: Path, tmp_path: Path) -> None:
    assert run(library, (library / "ggdq_network_weights.c").read_text(), tmp_path) == "1 0"


def test_one_bit_of_any_constant_changes_the_checksum(library: Path, tmp_path: Path) -> None:
    weights = (library / "ggdq_network_weights.c").read_text()
    names = re.findall(r" (ggdq_network_\w+)\[\d+\] = {", weights)
    assert len(names) > 8
    for name in names:
        assert run(library, changed(weights, name), tmp_path).startswith("0 ")


def test_wrong_weights_give_a_wrong_output(library: Path, tmp_path: Path) -> None:
    weights = (library / "ggdq_network_weights.c").read_text()
    zeros = re.sub(r"(const int8_t ggdq_network_logits\w+\[\d+\] = {)[^}]*}", r"\1 0 }", weights)
    assert zeros != weights
    assert run(library, zeros, tmp_path) == "0 -1"


def test_the_checksum_is_that_of_zip_over_little_endian_bytes() -> None:
    values = [np.array([1, -2], np.int8), np.array([[3], [4]], np.int32)]
    assert crc_of(values) == zlib.crc32(b"\x01\xfe\x03\0\0\0\x04\0\0\0")
    assert crc_of([]) == 0


def test_several_inputs_and_outputs_and_no_constants(tmp_path: Path) -> None:
    nodes = (Node("a", Input((3,))), Node("b", Input((3,))), Node("high", Extremum(), ("a", "b")))
    graph = Graph("pair", nodes, ("high", "a"))
    data = samples_of({name: np.eye(3, dtype=np.float32) for name in "ab"}, graph)
    options = Options(input_formats={name: Format(8, True, 0.01) for name in "ab"})
    network = quantize(graph, calibrate(graph, data), options)
    made = Quantized(graph, network, data, "minmax", "", {})
    folder = build_quantized(made, Target(boards.load("host"), tmp_path / "p", compile=False)).folder
    library = folder / "lib" / "ggdq_network" / "src"
    assert run(library, (library / "ggdq_network_weights.c").read_text(), tmp_path) == "1 0"
