"""A board at a serial port: the app of this computer, at the far end of a pseudo terminal."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from spoiled import spoil_weights
from terminal import behind_terminal

from ggdq_mcu.emulation.host import compile_host
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import Remote
from ggdq_mcu.projects import read_interface

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ggdq_mcu.pipeline.build import Request, build

    out = tmp_path_factory.mktemp("serial") / "digits"
    return build(Request(EXAMPLES / "digits.h5", "host", out, compile=False)).folder


@contextmanager
def board(folder: Path) -> Iterator[str]:
    """The serial port of a board with the network in ``folder``, in a firmware that tells its layers."""
    program = folder / "program"
    compile_host(folder, program)
    with behind_terminal([str(program)]) as port:
        yield port


def test_outputs_and_every_layer_of_a_board_are_compared(cli: Any, project: Path) -> None:
    with board(project) as port:
        outputs = cli("verify", project, "--on", f"serial:{port}", "--count", 3, "--json")
        layers = cli("verify", project, "--on", f"serial:{port}", "--count", 3, "--layers", "--json")
    (few,), (all_,) = (outcome.json["backends"].values() for outcome in (outputs, layers))
    assert (outputs.code, layers.code) == (0, 0)
    assert few == {"samples": 3, "elements": 30, "mismatches": 0, "first": None}
    assert (all_["samples"], all_["mismatches"]) == (3, 0)
    assert all_["elements"] > 1000


@pytest.mark.parametrize("options", [[], ["--layers"]])
def test_the_first_layer_that_differs_on_a_board_is_named(
    cli: Any, project: Path, tmp_path: Path, options: list[str]
) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    spoil_weights(copy / "lib" / "ggdq_network" / "src", "pointwise_2")
    with board(copy) as port:
        outcome = cli("verify", project, "--on", f"serial:{port}", "--count", 40, *options)
    assert outcome.code == 1
    assert "first difference in layer 'pointwise_2'" in outcome.err


def test_accuracy_on_a_board_is_that_of_the_reference(cli: Any, project: Path) -> None:
    arguments = "evaluate", project, "--data", EXAMPLES / "digits_test.npz", "--count", 60, "--json"
    with board(project) as port:
        there = cli(*arguments, "--on", f"serial:{port}").json
    here = cli(*arguments).json
    for key in ("samples", "accuracy", "float_accuracy", "agreement"):
        assert there[key] == here[key]
    assert (there["outputs"], there["layers"]) == ([], [])


def test_evaluate_at_a_place_that_does_not_exist(cli: Any, project: Path) -> None:
    outcome = cli("evaluate", project, "--data", EXAMPLES / "digits_test.npz", "--on", "moon")
    assert outcome.code == 2
    assert "'moon'" in outcome.err


class Counted(Pipe):
    """Counts the bytes each way."""

    bytes = 0

    def write(self, data: bytes) -> None:
        self.bytes += len(data)
        super().write(data)

    def read(self) -> bytes:
        data = super().read()
        self.bytes += len(data)
        return data


def test_four_fifths_of_what_goes_over_the_line_are_inputs(shared: Path, tmp_path: Path) -> None:
    from ggdq_mcu.pipeline.build import Request, build

    request = Request(shared / "models" / "kws_ds_cnn.h5", "host", tmp_path / "kws", compile=False)
    folder = build(request).folder
    compile_host(folder, tmp_path / "program")
    line = Counted([str(tmp_path / "program")], "counted")
    board = Remote(line, read_interface(folder))
    line.bytes = 0
    rng = np.random.default_rng(1)
    (port,) = board.interface.inputs
    limits = np.iinfo(port.dtype)
    samples = [(rng.integers(limits.min, limits.max, 490, port.dtype, endpoint=True),) for _ in range(50)]
    board.run(samples)
    line.close()
    assert 50 * 490 / line.bytes > 0.8
