"""Boards of Arm's emulated machines in QEMU: the firmware starts, enables what its core has, and computes the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import Built, samples
from mlperf_runner import Runner

from ggdq_mcu import boards
from ggdq_mcu.emulation.protocol import Client
from ggdq_mcu.emulation.qemu_board import QemuBoard, QemuNetwork, qemu_command
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects import compile_project

IN_QEMU = [board.name for board in boards.all_boards() if board.qemu is not None]


def network(project: Built) -> QemuNetwork:
    def traced() -> Path:
        return compile_project(project.folder, f"{project.board.name}_layers").elf

    return QemuNetwork(project.firmware.elf, project.board, project.interface, traced)


@pytest.mark.parametrize("board", IN_QEMU)
def test_outputs_are_those_of_the_network(built: Callable[..., Built], board: str) -> None:
    project = built(board)
    some = samples(10)
    with network(project) as emulated:
        outputs = emulated.run([x for x, _ in some])
    assert all(np.array_equal(out, y) for (out,), (_, (y,)) in zip(outputs, some, strict=True))


def test_every_layer_is_told_by_the_firmware_that_traces(built: Callable[..., Built]) -> None:
    project = built("mps3_an547")
    (x, (y,)) = samples(1)[0]
    with network(project) as emulated:
        trace = emulated.trace(x)
    first, second = networks.tiny_layers(x[0])
    assert trace.layers == {1: first.tobytes(), 2: second.tobytes()}
    assert np.array_equal(trace.outputs[0], y)


def test_helium_is_on_before_it_is_used(built: Callable[..., Built], tmp_path: Path) -> None:
    from ggdq_mcu import projects

    files = networks.tiny()
    source = "lib/ggdq_tiny/src/ggdq_tiny.c"
    files[source] = "#include <arm_mve.h>\n" + str(files[source]).replace(
        "        sum >>= 2;", "        sum = vaddvq_s32(vdupq_n_s32(sum)) >> 4; /* 4 * sum / 16 */"
    )
    board = boards.load("mps3_an547")
    interface = projects.write(tmp_path, board, files)
    elf = projects.compile_project(tmp_path).elf
    x, (y,) = samples(1)[0]
    line = QemuBoard(elf, board)
    answer = Client(line).run(interface.pack_inputs(x))
    line.close()
    assert answer.outputs == interface.pack_outputs((y,))


@pytest.mark.parametrize("board", ["mps3_an547", "mps2_an500", "qemu_rv32"])
def test_cycles_and_microseconds_are_counted(built: Callable[..., Built], board: str) -> None:
    project = built(board, app="mlperf-tiny")
    line = QemuBoard(project.firmware.elf, project.board)
    talk = Runner(line)
    talk.greeting()
    times = [int(talk.ask("timestamp")[0].removeprefix("m-lap-us-")) for _ in range(20)]
    line.close()
    assert times == sorted(times)
    assert times[0] < times[-1]


def test_a_board_that_qemu_does_not_have_is_named() -> None:
    with pytest.raises(GgdqError, match="QEMU has no such board"):
        qemu_command(Path("firmware.elf"), boards.load("nucleo_l4r5zi"))


def test_a_qemu_that_is_not_installed_is_named() -> None:
    board = boards.load("mps3_an547")
    assert board.qemu is not None
    without = dataclasses.replace(board, qemu=dataclasses.replace(board.qemu, program="qemu-system-none"))
    with pytest.raises(GgdqError, match="there is no qemu-system-none"):
        qemu_command(Path("firmware.elf"), without)


def test_a_machine_that_ends_is_told_with_the_reason() -> None:
    with pytest.raises(GgdqError, match="Could not load"):
        QemuBoard(Path("/no/such/firmware.elf"), boards.load("mps3_an547"))
