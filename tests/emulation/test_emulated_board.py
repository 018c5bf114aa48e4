"""The firmware from its reset vector, on every board: it starts, answers, and touches nothing it must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import EMULATED, Built, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unicorn import riscv_const

from effort import drawn
from ggdq_mcu import boards, projects
from ggdq_mcu.boards import Board
from ggdq_mcu.emulation.emulated_board import EmulatedBoard, EmulatedNetwork
from ggdq_mcu.emulation.layers import LayerSymbol
from ggdq_mcu.emulation.protocol import Client, Decoder, Frame, FrameType, encode
from ggdq_mcu.errors import GgdqError

LAYERS = [LayerSymbol(1, "ggdq_tiny_triple", 1, 14), LayerSymbol(2, "ggdq_tiny_sums", 1, 3)]

# Register bits that tell of clocks and voltages that are ready, by the port of the board.
READY = {
    "stm32f0": {0x40021000: 1 << 25, 0x40021004: 2 << 2},
    "stm32f1": {0x40021000: 1 << 25, 0x40021004: 2 << 2},
    "stm32f4": {0x40023800: 1 << 25, 0x40023808: 2 << 2},
    "stm32g0": {0x40021000: 1 << 25, 0x40021008: 2 << 3},
    "stm32g4": {0x40021000: 1 << 25, 0x40021008: 3 << 2},
    "stm32h7": {0x58024400: 1 << 25, 0x58024804: 1 << 13, 0x58024818: 1 << 13, 0x58024410: 3 << 3},
    "stm32l0": {0x40021000: 1 << 2 | 1 << 25, 0x4002100C: 3 << 2},
    "stm32l4": {0x40021000: 1 << 10 | 1 << 25, 0x40021008: 3 << 2},
    "stm32l5": {0x40021000: 1 << 10 | 1 << 25, 0x40021008: 3 << 2},
    "stm32u5": {0x4602080C: 3 << 14, 0x46020C00: 1 << 10 | 1 << 25, 0x46020C1C: 3 << 2},
    "stm32wb": {0x58000000: 1 << 10 | 1 << 25, 0x58000008: 3 << 2},
}
OVER_DRIVE = {0x40007004: 3 << 16}  # STM32F4 and STM32F7 above 168 MHz
CLOCKED = [name for name in EMULATED if boards.load(name).port in READY]
RUN = encode(Frame(FrameType.INPUT, 5, samples(1)[0][0][0].tobytes() + b"\0")) + encode(Frame(FrameType.RUN, 5))


def ready(board: Board) -> dict[int, int]:
    """What the registers of this board show once all is ready."""
    return READY[board.port] | (OVER_DRIVE if board.port == "stm32f4" and board.clock_hz > 168_000_000 else {})


@pytest.mark.parametrize("board", EMULATED)
def test_outputs_are_those_of_the_network(built: Callable[..., Built], board: str) -> None:
    project = built(board)
    some = samples(10)
    with EmulatedNetwork(project.firmware.elf, project.board, project.interface) as network:
        outputs = network.run([x for x, _ in some])
    assert all(np.array_equal(out, y) for (out,), (_, (y,)) in zip(outputs, some, strict=True))


@pytest.mark.parametrize("board", CLOCKED)
def test_without_a_clock_it_runs_on_the_oscillator_of_the_reset(built: Callable[..., Built], board: str) -> None:
    project = built(board)
    emulated = EmulatedBoard(project.firmware.elf, project.board)
    assert emulated.read().startswith(b'ggdq-mcu: network "tiny"')
    assert Client(emulated).info().clock_hz == project.board.reset_clock_hz


@pytest.mark.parametrize("board", CLOCKED)
def test_with_its_clocks_it_runs_at_full_speed(built: Callable[..., Built], board: str) -> None:
    project = built(board)
    emulated = EmulatedBoard(project.firmware.elf, project.board, ready=ready(project.board))
    assert Client(emulated).info().clock_hz == project.board.clock_hz


@pytest.mark.parametrize("board", CLOCKED)
@pytest.mark.parametrize("missing", range(4))
def test_any_clock_that_never_gets_ready_is_survived(built: Callable[..., Built], board: str, missing: int) -> None:
    project = built(board)
    some = ready(project.board)
    some.pop(list(some)[missing % len(some)])
    emulated = EmulatedBoard(project.firmware.elf, project.board, ready=some)
    assert Client(emulated).info().clock_hz == project.board.reset_clock_hz


@pytest.mark.parametrize("board", EMULATED)
def test_each_layer_is_seen_with_its_instructions(built: Callable[..., Built], board: str) -> None:
    project = built(board)
    (x, (y,)) = samples(1)[0]
    with EmulatedNetwork(project.firmware.elf, project.board, project.interface, LAYERS) as network:
        trace = network.trace(x)
        again = network.trace(x)
    first, second = networks.tiny_layers(x[0])
    assert trace.layers == {1: first.tobytes(), 2: second.tobytes()}
    assert np.array_equal(trace.outputs[0], y)
    assert 0 < sum(trace.instructions.values()) < trace.total < sum(trace.instructions.values()) + 30
    assert again.instructions == trace.instructions
    assert again.total == trace.total


def test_a_trap_on_riscv_ends_in_the_handler_that_start_up_has_set(built: Callable[..., Built]) -> None:
    project = built("qemu_rv32")
    emulated = EmulatedBoard(project.firmware.elf, project.board)
    emulated.read()
    handler = emulated.machine.address("fault_handler")
    assert handler % 4 == 0
    assert emulated.machine.uc.reg_read(riscv_const.UC_RISCV_REG_MTVEC) == handler


def test_several_inputs_and_outputs_keep_their_places(built: Callable[..., Built]) -> None:
    project = built("nucleo", "pair")
    a, b = np.array([1, -2, 3, -128, 127], np.int8), np.array([-32768, 7, 32767], np.int16)
    with EmulatedNetwork(project.firmware.elf, project.board, project.interface) as network:
        ((first, second),) = network.run([(a, b)])
    assert first.tolist() == [-16383, 1, 16386]
    assert second.tolist() == [129, 126, 131, 0, 255]


def spoiled() -> st.SearchStrategy[bytes]:
    places = st.integers(0, len(RUN) - 1)
    return st.one_of(
        st.binary(max_size=60),
        places.map(lambda i: RUN[:i] + RUN[i + 1 :]),
        places.map(lambda i: RUN[: i + 1] + RUN[i:]),
        st.tuples(places, st.integers(1, 255)).map(lambda p: RUN[: p[0]] + bytes([RUN[p[0]] ^ p[1]]) + RUN[p[0] + 1 :]),
        st.builds(lambda kind, payload: encode(Frame(kind, 1, payload)), st.integers(0, 255), st.binary(max_size=40)),
    )


@settings(max_examples=drawn(60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(spoiled(), max_size=8))
def test_garbled_frames_do_not_harm_the_firmware(built: Callable[..., Built], pieces: list[bytes]) -> None:
    project = built("nucleo")
    emulated = EmulatedBoard(project.firmware.elf, project.board)
    emulated.write(b"".join(pieces))
    emulated.read()
    x, (y,) = samples(1)[0]
    answer = Client(emulated).run(project.interface.pack_inputs(x))
    assert answer.outputs == project.interface.pack_outputs(y)


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("*(volatile int *)0x10u = 1;", "writes 4 bytes 0x00000010 at .*ggdq_tiny_triple"),
        ("*(volatile int *)0x08000000u = 1;", "writes 4 bytes 0x08000000 at .*ggdq_tiny_triple"),
        ("out[0] = *(volatile int16_t *)0x20020000u;", "reads 2 bytes 0x20020000 at .*ggdq_tiny_triple"),
    ],
)
def test_a_wrong_access_is_told_with_the_function(
    local_platformio: None, tmp_path: Path, statement: str, cause: str
) -> None:
    files = networks.tiny()
    source = "lib/ggdq_tiny/src/ggdq_tiny.c"
    files[source] = str(files[source]).replace(
        "    for (int i = 0; i < 7; i++) {\n        out",
        f"    {statement}\n    for (int i = 0; i < 7; i++) {{\n        out",
    )
    board = boards.load("nucleo")
    interface = projects.write(tmp_path, board, files)
    elf = projects.compile_project(tmp_path).elf
    with EmulatedNetwork(elf, board, interface) as network, pytest.raises(GgdqError, match=cause):
        network.run([samples(1)[0][0]])


def test_a_firmware_that_hangs_is_told_with_the_function(local_platformio: None, tmp_path: Path) -> None:
    files = networks.tiny()
    source = "lib/ggdq_tiny/src/ggdq_tiny.c"
    files[source] = str(files[source]).replace(
        "int32_t sum = 0;", "int32_t sum = 0;\n        while (offset) {\n        }"
    )
    board = boards.load("nucleo")
    projects.write(tmp_path, board, files)
    emulated = EmulatedBoard(projects.compile_project(tmp_path).elf, board, timeout_s=1)
    emulated.write(RUN)
    with pytest.raises(GgdqError, match="does not answer within 1 s of emulation at ggdq_tiny_sums"):
        emulated.read()


def test_another_network_on_the_board_is_noticed(built: Callable[..., Built]) -> None:
    project = built("nucleo")
    with pytest.raises(GgdqError, match="the board has the network 'tiny'"):
        EmulatedNetwork(project.firmware.elf, project.board, built("nucleo", "pair").interface)


def test_the_host_has_no_firmware_to_emulate(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="use the host"):
        EmulatedBoard(tmp_path / "program", boards.load("host"))


def test_a_file_that_is_no_elf_is_named(tmp_path: Path) -> None:
    path = tmp_path / "firmware.elf"
    path.write_bytes(b"\x7fELF and nothing more")
    with pytest.raises(GgdqError, match=r"firmware\.elf: not an ELF file"):
        EmulatedBoard(path, boards.load("nucleo"))


def test_answers_come_in_frames_that_the_computer_finds(built: Callable[..., Built]) -> None:
    project = built("nucleo")
    emulated = EmulatedBoard(project.firmware.elf, project.board)
    emulated.write(encode(Frame(FrameType.INFO, 3)))
    (frame,) = Decoder().feed(emulated.read())
    assert (frame.type, frame.sequence) == (FrameType.INFO_ANSWER, 3)
