"""The firmware for the benchmark's runner: the whole conversation, and commands that mean harm."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import networks
import numpy as np
import pytest
from firmware_fixtures import Built, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mlperf_runner import Runner, results
from terminal import Terminal, line_to

from effort import drawn
from ggdq_mcu import boards, projects
from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.host import SANITIZERS, compile_host
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import FLUSH, Client
from ggdq_mcu.emulation.serial_board import SerialLine
from ggdq_mcu.errors import GgdqError

(X,), (Y,) = samples(1)[0]
STEP = 1 / 256  # of the outputs of "tiny"
ZEROS = networks.tiny_layers(np.zeros(7, np.int8))[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app around "tiny" on this computer, under the sanitizers."""
    folder = tmp_path_factory.mktemp("mlperf")
    app = projects.App("mlperf-tiny", "kws01")
    projects.write(folder / "project", boards.load("host"), networks.tiny(), app=app)
    compile_host(folder / "project", folder / "program", ("-O1", *SANITIZERS))
    return folder / "program"


@pytest.fixture
def runner(program: Path) -> Iterator[Runner]:
    pipe = Pipe([str(program)], "host")
    talk = Runner(pipe)
    talk.greeting()
    yield talk
    pipe.close()


def test_the_device_greets_with_its_mode_and_time(program: Path) -> None:
    pipe = Pipe([str(program)], "host")
    mode, time, done = Runner(pipe).greeting()
    pipe.close()
    assert (mode, done) == ("m-timestamp-mode-performance", "m-init-done")
    assert time.removeprefix("m-lap-us-").isdecimal()


def test_the_device_tells_its_name_and_model(runner: Runner) -> None:
    assert runner.ask("name") == ["m-name-dut-[this computer]".replace("this computer", boards.load("host").title)]
    assert runner.ask("profile") == ["m-profile-[ULPMark for tinyML Firmware V0.0.1]", "m-model-[kws01]"]
    assert runner.ask("help")


def test_time_never_runs_back(runner: Runner) -> None:
    times = [int(runner.ask("timestamp")[0].removeprefix("m-lap-us-")) for _ in range(5)]
    assert times == sorted(times)


def test_inputs_come_in_pieces_and_outputs_are_those_of_the_network(runner: Runner) -> None:
    assert runner.ask("db load 7") == ["m-[Expecting 7 bytes]"]
    digits = X.tobytes().hex()
    assert runner.ask(f"db {digits[:6]}") == []
    assert runner.ask(f"db {digits[6:].upper()}") == ["m-load-done"]
    assert runner.ask("db print") == ["m-buffer-" + "-".join(f"{byte:02x}" for byte in X.tobytes())]
    assert np.array_equal(runner.infer(2, 1), np.round(Y * STEP, 6))
    (line,) = runner.ask("results")
    assert np.array_equal(results(line), np.round(Y * STEP, 6))


def test_an_inference_alone_has_no_warm_up(runner: Runner) -> None:
    runner.load(X.tobytes())
    lines = runner.ask("infer")
    assert (lines[0], lines[2]) == ("m-warmup-start-0", "m-infer-start-1")
    assert np.array_equal(results(lines[-1]), np.round(Y * STEP, 6))


def test_ten_runs_warm_up_where_no_number_is_given(runner: Runner) -> None:
    runner.load(bytes(7))
    lines = runner.ask("infer 1")
    assert (lines[0], lines[2]) == ("m-warmup-start-10", "m-infer-start-1")
    assert np.array_equal(results(lines[-1]), np.round(ZEROS * STEP, 6))


@pytest.mark.parametrize(
    ("commands", "errors"),
    [
        (["nonsense"], ["e-[Unknown command: nonsense]"]),
        (["Name"], ["e-[Unknown command: Name]"]),
        (["db"], ["e-[db wants load, print or bytes]"]),
        (["db load"], ["e-[Number of bytes must be positive]"]),
        (["db load 0"], ["e-[Number of bytes must be positive: 0]"]),
        (["db load -1"], ["e-[Number of bytes must be positive: -1]"]),
        (["db load x"], ["e-[Number of bytes must be positive: x]"]),
        (["db load 7x"], ["e-[Number of bytes must be positive: 7x]"]),
        (["db load 8"], ["e-[Number of bytes exceeds the buffer: 8]"]),
        (["db load 4294967303"], ["e-[Number of bytes must be positive: 4294967303]"]),
        (["db load 99999999999999999999"], ["e-[Number of bytes must be positive: 99999999999999999999]"]),
        (["db 00"], ["e-[No load is pending: 00]"]),
        (["db load 8", "db 00"], ["e-[Number of bytes exceeds the buffer: 8]", "e-[No load is pending: 00]"]),
        (["db load 2", "db load -1", "db 00"], [
            "e-[Number of bytes must be positive: -1]", "e-[No load is pending: 00]",
        ]),
        (["db load 1", "db 00", "db 01"], ["e-[No load is pending: 01]"]),
        (["db load 2", "db 0"], ["e-[Not two hexadecimal digits a byte: 0]"]),
        (["db load 2", "db 00g0"], ["e-[Not two hexadecimal digits a byte: g0]"]),
        (["infer"], ["e-[Input db has 0 elemented, expected 7]"]),
        (["db load 7", "db 00112233", "infer 1"], ["e-[Input db has 4 elemented, expected 7]"]),
        (["db load 3", "db 001122", "infer 1"], ["e-[Input db has 3 elemented, expected 7]"]),
        (["start"], ["e-[Unknown command: start]"]),
        (["infer 0"], ["e-[Number of inferences must be positive: 0]"]),
        (["infer -3"], ["e-[Number of inferences must be positive: -3]"]),
        (["infer 2147483648"], ["e-[Number of inferences must be positive: 2147483648]"]),
        (["infer 1 -1"], ["e-[Number of warm-ups must not be negative: -1]"]),
        (["infer 1 many"], ["e-[Number of warm-ups must not be negative: many]"]),
        (["n" * 80], [f"e-[Unknown command: {'n' * 80}]"]),
        (["n" * 81], ["e-[A command has at most 80 characters]"]),
        (["n" * 5000], ["e-[A command has at most 80 characters]"]),
    ],
)  # fmt: skip
def test_a_wrong_command_is_answered_with_an_error(runner: Runner, commands: list[str], errors: list[str]) -> None:
    told = [line for command in commands for line in runner.ask(command)]
    assert [line for line in told if line.startswith("e-")] == errors
    assert runner.ask("profile")[1] == "m-model-[kws01]"


def test_bytes_beyond_the_load_are_ignored(runner: Runner) -> None:
    runner.ask("db load 2")
    assert runner.ask("db 0102" + "ff" * 30) == ["m-load-done"]
    assert runner.ask("db print") == ["m-buffer-01-02-00-00-00-00-00"]


def test_line_ends_spaces_and_empty_commands_do_no_harm(runner: Runner) -> None:
    assert runner.ask("\r\n profile  \r\n")[1] == "m-model-[kws01]"
    assert runner.ask("") == runner.ask("   ") == []


def test_the_buffer_is_printed_eight_bytes_a_line(tmp_path: Path) -> None:
    projects.write(tmp_path / "p", boards.load("host"), networks.pair(), app=projects.App("mlperf-tiny"))
    compile_host(tmp_path / "p", tmp_path / "program", ("-O1", *SANITIZERS))
    pipe = Pipe([str(tmp_path / "program")], "host")
    talk = Runner(pipe)
    talk.greeting()
    data = bytes(range(1, 15))  # five bytes, three to fill, three times two
    assert talk.load(data) == ["m-load-done"]
    assert talk.ask("db print") == ["m-buffer-01-02-03-04-05-06-07-08", "m-buffer-09-0a-0b-0c-0d-0e"]
    first = np.frombuffer(data[8:14], "<i2") // 2 + np.arange(1, 4)
    second = np.arange(1, 6) + 128
    expected = [*(0.1 * (first + 7)), *(2e-05 * (second - 5))]
    assert np.allclose(talk.infer(), expected, rtol=0, atol=5e-7)
    assert talk.ask("profile")[1] == "m-model-[pair]"
    pipe.close()


def test_logits_become_probabilities(tmp_path: Path) -> None:
    app = projects.App("mlperf-tiny", "ic01", probabilities=True)
    with on_host(tmp_path, networks.tiny(), app) as talk:
        talk.load(X.tobytes())
        logits = Y * STEP
        assert np.allclose(talk.infer(), np.exp(logits) / np.exp(logits).sum(), rtol=0, atol=1.5e-6)  # six decimals


def test_values_of_ad01_are_quantized_to_the_bit_and_scored(tmp_path: Path) -> None:
    files = networks.autoencoder(640, step=0.37, output_step=3.7, zero_point=-3)
    rng = np.random.default_rng(5)
    special = [0, -0.0, 1e-40, 1e30, -1e30, np.inf, -np.inf, np.nan, 0.185, -0.185, 47, -47]
    values = np.concatenate([special, rng.normal(0, 20, 628)]).astype("<f4")
    with on_host(tmp_path, files, projects.App("mlperf-tiny", "ad01")) as talk:
        assert talk.load(values.tobytes()) == ["m-load-done"]
        talk.infer()  # UBSan sees what infinities do
        values[2:8] = 0
        talk.load(values.tobytes())
        (score,) = talk.infer()
        assert talk.ask("db load 2561") == ["e-[Number of bytes exceeds the buffer: 2561]"]
    q = np.clip(np.floor(values.astype(np.float64) / 0.37 + 0.5) - 3, -128, 127)
    output = 3.7 * (np.minimum(-q, 127) + 3)
    assert score == pytest.approx(np.mean((values - output) ** 2), rel=1e-5)  # a step more or less would be 5e-5


def test_ad01_is_for_networks_that_give_their_input_again(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="ad01"):
        projects.write(tmp_path / "p", boards.load("host"), networks.tiny(), app=projects.App("mlperf-tiny", "ad01"))


@contextmanager
def on_host(folder: Path, files: dict[str, str | bytes], app: projects.App) -> Iterator[Runner]:
    """The conversation with a firmware on this computer, behind a pseudo terminal, under the sanitizers."""
    projects.write(folder / "p", boards.load("host"), files, app=app)
    compile_host(folder / "p", folder / "program", ("-O1", *SANITIZERS))
    with line_to([str(folder / "program")]) as line:
        talk = Runner(line)
        talk.greeting()
        yield talk


@pytest.mark.parametrize(("board", "pin", "bsrr"), [
    ("nucleo_f446re", "PA8", 0x4002_0018), ("nucleo_f103rb", "PA8", 0x4001_0810), ("nucleo_f767zi", "PD2", 0x4002_0C18),
])  # fmt: skip
def test_time_is_a_low_pulse_on_a_pin_where_energy_is_measured(tmp_path: Path, board: str, pin: str, bsrr: int) -> None:
    app = projects.App("mlperf-tiny", "kws01", baud=9600, energy_pin=pin)
    projects.write(tmp_path / "p", boards.load(board), networks.tiny(), app=app)
    subprocess.run(["make", "-s", "firmware.elf"], cwd=tmp_path / "p", check=True, capture_output=True)
    emulated = EmulatedBoard(tmp_path / "p" / "firmware.elf", boards.load(board))
    written: list[int] = []
    write_register = emulated._write_register

    def watch(address: int, value: int) -> None:
        if address == bsrr:
            written.append(value)
        write_register(address, value)

    emulated._write_register = watch  # type: ignore[method-assign]
    terminal = Terminal(emulated, {}, {})
    line = SerialLine(terminal.port, 9600)
    talk = Runner(line)
    assert talk.ask("name") == ["m-timestamp-mode-energy", "m-init-done"]  # the greeting waits on the line
    assert talk.greeting()[0].startswith("m-name-dut")
    low = int(pin[2:])
    pulse = [1 << (low + 16), 1 << low]
    assert written[-3:] == [1 << low, *pulse]
    written.clear()
    assert talk.ask("timestamp") == []
    assert written == pulse
    written.clear()
    talk.load(X.tobytes())
    lines = talk.ask("infer 3 1")
    assert lines[:-1] == ["m-warmup-start-1", "m-warmup-done", "m-infer-start-3", "m-infer-done"]
    assert np.array_equal(results(lines[-1]), np.round(Y * STEP, 6))
    assert written == 2 * pulse
    line.close()
    terminal.close()


@pytest.mark.parametrize(("board", "app"), [
    ("nucleo_f446re", {"energy_pin": "PB1"}), ("nucleo_f446re", {"energy_pin": "PA2"}), ("host", {"energy_pin": "PA8"}),
    ("nucleo_f446re", {"energy_pin": "PA16"}), ("pico", {"energy_pin": "PA8"}), ("mps2_an386", {"energy_pin": "7"}),
    ("nucleo_f446re", {"baud": 4_000_000}),
])  # fmt: skip
def test_what_a_board_cannot_do_is_refused(tmp_path: Path, board: str, app: dict[str, Any]) -> None:
    with pytest.raises(GgdqError, match=r"energy pin|baud rate"):
        projects.write(tmp_path / "p", boards.load(board), networks.tiny(), app=projects.App("mlperf-tiny", **app))


def test_a_baud_rate_reaches_the_divider_and_the_monitor(tmp_path: Path) -> None:
    app = projects.App("mlperf-tiny", baud=921_600)
    projects.write(tmp_path / "p", boards.load("nucleo"), networks.tiny(), app=app)
    clock = boards.load("nucleo").uart_clocks_hz[0]
    assert f"#define BOARD_UART_DIVIDER {round(clock / 921_600)}u" in (tmp_path / "p/include/board.h").read_text()
    assert "monitor_speed = 921600" in (tmp_path / "p/platformio.ini").read_text()
    projects.write(tmp_path / "q", boards.load("pico"), networks.tiny(), app=app)
    assert "#define APP_BAUD 921600" in (tmp_path / "q/include/app_port.h").read_text()


@pytest.mark.parametrize("model_id", ["a b", 'x"', "x" * 41, "ü"])
def test_a_model_id_that_would_spoil_the_c_is_refused(model_id: str) -> None:
    with pytest.raises(GgdqError, match="model id"):
        projects.App("mlperf-tiny", model_id)


def test_an_unknown_app_is_refused_with_the_known_ones() -> None:
    with pytest.raises(GgdqError, match="known: serial, mlperf-tiny"):
        projects.App("blinky")


@pytest.mark.parametrize("board", ["nucleo_f446re", "nucleo_g071rb", "mps2_an505"])
def test_the_emulated_board_holds_the_same_conversation(built: Callable[..., Built], board: str) -> None:
    project = built(board, app="mlperf-tiny")
    talk = Runner(EmulatedBoard(project.firmware.elf, project.board))
    assert len(talk.greeting()) == 3
    assert talk.ask("name") == [f"m-name-dut-[{project.board.title}]"]
    assert talk.load(X.tobytes()) == ["m-load-done"]
    assert np.array_equal(talk.infer(3, 2), np.round(Y * STEP, 6))
    assert talk.ask("db 00") == ["e-[No load is pending: 00]"]


def test_frames_are_answered_too_so_that_verify_works(built: Callable[..., Built]) -> None:
    project = built("nucleo_f446re", app="mlperf-tiny")
    board = EmulatedBoard(project.firmware.elf, project.board)
    answer = Client(board).run(project.interface.pack_inputs((X,)))
    assert answer.outputs == project.interface.pack_outputs((Y,))
    assert "results" not in Runner(board).ask("profile")


_words = st.sampled_from(["db", "load", "print", "infer", "results", "name", "0", "1", "-1", "7", "8", "00ff", "zz"])
_commands = st.one_of(
    st.lists(_words, max_size=5).map(" ".join),
    st.text(st.characters(min_codepoint=0, max_codepoint=255, exclude_characters="%"), max_size=100),
    st.text("0123456789abcdef", max_size=120).map("db ".__add__),
)


@settings(max_examples=drawn(100), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_commands, max_size=20))
def test_no_command_harms_the_device(program: Path, commands: list[str]) -> None:
    pipe = Pipe([str(program)], "host")
    pipe.write(b"".join(f"{command}%".encode("latin-1") for command in commands))
    pipe.write(FLUSH + b"%profile%")  # what a frame's first byte began is over
    lines = pipe.finish().decode("latin-1").split("\r\n")
    assert lines[-3:] == ["m-model-[kws01]", "m-ready", ""]
