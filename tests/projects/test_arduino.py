"""Boards that the Arduino framework drives: the project is whole, compiles for the core, and the port works."""

from __future__ import annotations

import configparser
import subprocess
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import samples

from ggdq_mcu import boards, projects
from ggdq_mcu.emulation.emulated_board import EmulatedBoard
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.emulation.protocol import Client
from ggdq_mcu.errors import GgdqError

ARDUINO = [board.name for board in boards.all_boards() if board.framework == "arduino"]
COMPILED = [name for name in ARDUINO if boards.load(name).core.tools]
LIBC = {"riscv": ["--specs=picolibc.specs"]}  # Debian's compiler for RISC-V comes without one
CPP = [flag for flag in STRICT if flag != "-std=c11"] + ["-std=c++11", "-fno-exceptions", "-fno-rtti"]

# What the port uses of the framework.
HEADER = """
#include <stdint.h>
struct SerialPort {
    void begin(unsigned long baud);
    explicit operator bool() const { return true; }
    int available();
    int read();
    unsigned write(uint8_t byte);
};
extern SerialPort Serial;
uint32_t micros();
uint32_t millis();
"""

# A framework on the emulated board of Arm.
FRAMEWORK = """
#include <Arduino.h>
extern "C" {
#include "uart.h"
int main(void);
}
void setup();
void loop();
SerialPort Serial;
static int next = -1;
void SerialPort::begin(unsigned long) { uart_start(true); }
int SerialPort::available() { if (next < 0) { next = uart_read(); } return next >= 0; }
int SerialPort::read() { const int byte = next; next = -1; return byte; }
unsigned SerialPort::write(uint8_t byte) { uart_write(byte); return 1; }
uint32_t micros() { static uint32_t time = 0xFFFFFF00u; return time += 100; }
uint32_t millis() { return 0; }
int main(void) { setup(); for (;;) { loop(); } }
"""


def run(folder: Path, *line: object) -> None:
    done = subprocess.run([str(word) for word in line], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("board", ARDUINO)
def test_the_project_names_platform_board_and_framework(tmp_path: Path, board: str) -> None:
    projects.write(tmp_path / "p", boards.load(board), networks.tiny(), samples(1))
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(tmp_path / "p" / "platformio.ini")
    environment = settings[f"env:{board}"]
    assert environment["board"] == board
    assert environment["framework"] == "arduino"
    assert environment["platform"] == boards.load(board).platform
    assert settings["platformio"]["default_envs"] == board
    assert (tmp_path / "p" / "src" / "board" / "port_arduino.cpp").is_file()
    assert not (tmp_path / "p" / "link.ld").exists()


@pytest.mark.parametrize("board", COMPILED)
def test_app_port_and_network_compile_for_the_core(tmp_path: Path, board: str) -> None:
    folder = tmp_path / "p"
    core = boards.load(board).core
    projects.write(folder, boards.load(board), networks.tiny())
    (folder / "Arduino.h").write_text(HEADER)
    includes = ["-I.", "-Iinclude", "-Isrc/app", "-Ilib/ggdq_tiny/src"]
    app = [path for path in folder.glob("src/app/*.c") if path.name != "main.c"]
    flags = [*core.flags, *LIBC.get(core.family, ()), "-O2", *includes]
    for defines in ([], ["-DGGDQ_TRACE"]):
        run(folder, f"{core.tools}gcc", *flags, *STRICT, *defines, "-c", *app)
    run(folder, f"{core.tools}gcc", *flags, *STRICT, "-c", *folder.glob("lib/*/src/*.c"))
    run(folder, f"{core.tools}g++", *flags, *CPP, "-c", "src/board/port_arduino.cpp")


def test_the_port_runs_the_app_on_an_emulated_board(tmp_path: Path) -> None:
    folder = tmp_path / "p"
    board = boards.load("mps2_an385")
    interface = projects.write(folder, board, networks.tiny())
    projects.write(tmp_path / "a", boards.load("nano33ble"), networks.tiny())
    (folder / "Arduino.h").write_text(HEADER)
    (folder / "framework.cpp").write_text(FRAMEWORK)
    includes = ["-I.", "-Iinclude", "-Isrc/app", "-Isrc/board", "-Ilib/ggdq_tiny/src"]
    c_files = [*folder.glob("src/app/*.c"), *folder.glob("src/board/*.c"), *folder.glob("lib/*/src/*.c")]
    c_files = [path for path in c_files if path.name not in ("main.c", "port_bare_metal.c")]
    run(folder, "arm-none-eabi-gcc", *board.core.flags, "-O2", *STRICT, *includes, "-c", *c_files)
    port = tmp_path / "a" / "src" / "board" / "port_arduino.cpp"
    settings = f"-I{tmp_path / 'a' / 'include'}"
    run(folder, "arm-none-eabi-g++", *board.core.flags, "-O2", *CPP, *includes, settings, "-c", port, "framework.cpp")
    objects = [path.name for path in folder.glob("*.o")]
    run(folder, "arm-none-eabi-gcc", *board.core.flags, "-nostartfiles", "-T", "link.ld", *objects, "-o", "a.elf")
    client = Client(EmulatedBoard(folder / "a.elf", board))
    (x,), (y,) = samples(1)[0]
    first, second = (client.run(interface.pack_inputs((x,))) for _ in range(2))
    assert np.array_equal(interface.unpack_outputs(first.outputs)[0], y)
    assert client.info().clock_hz == 1_000_000
    assert (first.cycles, second.cycles) == (100, 100)  # one reading to the next; microseconds that wrap


@pytest.mark.parametrize(
    ("board", "line", "missing"),
    [("portenta", "", "framework 'arduino'"), ("pico", "framework = arduino\n", "platform 'raspberrypi'")],
)
def test_the_local_mode_says_what_it_cannot_compile(
    local_platformio: None, tmp_path: Path, board: str, line: str, missing: str
) -> None:
    projects.write(tmp_path / "p", boards.load(board), networks.tiny())
    settings = tmp_path / "p" / "platformio.ini"
    settings.write_text(settings.read_text().replace(line, ""))
    with pytest.raises(GgdqError, match=f"GGDQ_PIO=local has no {missing}"):
        projects.compile_project(tmp_path / "p")
