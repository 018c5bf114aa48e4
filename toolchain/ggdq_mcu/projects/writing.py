"""Which files make a PlatformIO project around a network, and how do they get to disk whole or not at all?"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from ggdq_mcu import resources
from ggdq_mcu.boards import Board
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.folders import replace_folder
from ggdq_mcu.projects.interface import Arrays, Interface, native_library, parse_header
from ggdq_mcu.projects.made_here import remember

MANIFEST = "ggdq.json"  # the file that marks a folder as ours to replace

STACK_BYTES = 2048  # what the linker script sets aside

_APP = ("main.c", "app.c", "app.h", "frame.c", "frame.h", "print.c", "print.h", "console.h", "port.h")
_CONSOLES = {"serial": ("console.c",), "mlperf-tiny": ("mlperf_tiny.c", "scores.c", "scores.h")}
_STARTUP = {
    "cortex-m": ("startup/cortex_m.c", "startup/cortex_m.h", "startup/cycle_counter_cortex_m.c"),
    "riscv": ("startup/riscv.c", "startup/cycle_counter_clint.c"),
}
_BARE_METAL = (
    "startup/cycle_counter.h",
    "ports/port_bare_metal.c",
    "ports/chip.h",
    "ports/registers.h",
    "ports/uart.h",
)
_UARTS = {
    "lpuart": "usart_v2",
    "cmsdk": "uart_cmsdk",
    "ns16550": "uart_ns16550",
}  # the others are files of their own name
_CLOCKS_ALIKE = ("stm32g4", "stm32l4", "stm32l5")
_DIVIDERS = {"lpuart": (0x300, 0xFFFFF), "ns16550": (1, 0xFFFF)}  # least and greatest; 16 and 65535 elsewhere
_BAUD_ERROR = 0.025  # that a receiver stands
#: Ticks of the serial port's clock for one of its divider, by its kind; one where nothing else is said.
TICKS_OF_DIVIDER = {"lpuart": 1 / 256, "ns16550": 16}
_STATIC = {
    "test_network.c": "test/test_network/test_network.c",
    "test_custom_runner.py": "test/test_custom_runner.py",
}
# What makes the network's folder a library: of PlatformIO, of Arduino, a target of CMake, a component of ESP-IDF, a module of
# Zephyr.
_LIBRARY = {
    "library.json.j2": "library.json",
    "library.properties.j2": "library.properties",
    "library_cmake.txt.j2": "CMakeLists.txt",
    "library_idf.yml.j2": "idf_component.yml",
    "zephyr_module.yml.j2": "zephyr/module.yml",
    "zephyr_kconfig.j2": "zephyr/Kconfig",
}
_BUILD_SCRIPTS = ("build_core.py", "build_link.py")


@dataclass(frozen=True)
class App:
    """What the firmware is for besides answering frames.

    ``kind``: "serial" obeys a person at a terminal, "mlperf-tiny" the runner of that benchmark, to which it
    says ``model_id`` (kws01, ic01, ...; empty: the network's name).
    ``self_test``: at the start the network tests itself, and does not run where that fails. ``baud``: of the serial port,
    0: the board's. ``energy_pin``: pin of an mlperf-tiny firmware that is pulled low at each time stamp of an energy run,
    like "PA8", or a number with a framework; "": times go over the serial port. ``probabilities``: results are the softmax
    of the outputs.
    """

    kind: str = "serial"
    model_id: str = ""
    self_test: bool = False
    baud: int = 0
    energy_pin: str = ""
    probabilities: bool = False

    def __post_init__(self) -> None:
        if self.kind not in _CONSOLES:
            raise GgdqError(f"unknown app {self.kind!r}", fix=f"known: {', '.join(_CONSOLES)}")
        if not re.fullmatch(r"[\w.-]{0,40}", self.model_id, re.ASCII):
            raise GgdqError("not a word of letters and digits", f"model id {self.model_id!r}", "for example kws01")
        if self.baud and not 1200 <= self.baud <= 12_000_000:
            raise GgdqError("not within 1200..12000000", f"baud rate {self.baud}")
        if self.energy_pin and (
            self.kind != "mlperf-tiny" or not re.fullmatch(r"P[A-K]\d{1,2}|\d{1,3}", self.energy_pin)
        ):
            fix = "a pin like PA8, or a number for boards with a framework, and --app mlperf-tiny"
            raise GgdqError("not a pin of an mlperf-tiny firmware", f"energy pin {self.energy_pin!r}", fix)

    @property
    def is_anomaly(self) -> bool:
        """Is it the benchmark's anomaly detection, whose inputs are float32 and whose score is the mean squared error?"""
        return self.kind == "mlperf-tiny" and self.model_id == "ad01"


def write(
    out: Path,
    board: Board,
    network_files: Mapping[str, str | bytes],
    samples: Sequence[tuple[Arrays, Arrays]] = (),
    optimization: str = "-O2",
    app: App | None = None,
) -> Interface:
    """Writes the project for ``board`` into ``out``, in one step: there is never half a project.

    ``network_files``: contents by path in the project: lib/ggdq_NAME/src/..., ggdq.json (required), ...;
    under ``native_library(NAME)`` the network for this computer, where the board's is not portable.
    ``samples``: (inputs, outputs) for the native test, integers.
    Raises GgdqError where ``out`` holds other files.
    """
    check_out(out)
    if MANIFEST not in network_files:
        raise ValueError(f"network_files lacks {MANIFEST}")
    interface, app = _interface(network_files), app or App()
    board = _with_app(board, interface, app)
    twin = native_library(interface.name)
    native = twin if any(path.startswith(f"{twin}/") for path in network_files) else ""
    files = {**project_files(board, interface, samples, optimization, native, app), **network_files}
    replace_folder(Path(os.path.abspath(out)), files)
    manifest = network_files[MANIFEST]
    remember(manifest if isinstance(manifest, bytes) else manifest.encode())
    return interface


def _with_app(board: Board, interface: Interface, app: App) -> Board:
    """The board with the app's baud rate; GgdqError for what it or the network cannot do for this app."""
    if app.energy_pin:
        pins = board.uart.pins if board.uart else None
        fits = app.energy_pin.isdecimal() if board.framework else pins and app.energy_pin[:2] == pins.tx[:2]
        if (
            not fits
            or (pins and not int(app.energy_pin[2:]) < 16)
            or app.energy_pin in ((pins and (pins.tx, pins.rx)) or ())
        ):
            fix = f"a pin of port {pins.tx[1]} but {pins.tx} and {pins.rx}" if pins else "a board with pins"
            raise GgdqError(f"{board.title} cannot pulse it", f"energy pin {app.energy_pin}", fix)
    ends = [(port.elements) for port in (*interface.inputs, *interface.outputs)]
    if app.is_anomaly and (len(ends) != 2 or ends[0] != ends[1]):
        fix = "leave --model-id ad01 out"
        raise GgdqError("ad01 has one input and an output of as many values", f"network {interface.name}", fix)
    if board.uart is None or not app.baud:
        return board
    board = replace(board, uart=replace(board.uart, baud=app.baud))
    assert board.uart is not None
    divider, ticks = uart_divider(board, board.uart_clocks_hz[0]), TICKS_OF_DIVIDER.get(board.uart.kind, 1)
    least, most = _DIVIDERS.get(board.uart.kind, (16, 0xFFFF))
    real = board.uart.clock_hz / (divider * ticks) if divider else 0
    if not least <= divider <= most or abs(real / app.baud - 1) > _BAUD_ERROR:
        raise GgdqError(
            f"the serial port's clock of {board.uart.clock_hz} Hz does not give it", f"baud rate {app.baud}"
        )
    return board


def check_out(out: Path) -> None:
    """Raises GgdqError unless ``out`` is ours to write: absent, empty, or a project that we made."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise GgdqError("this is not a folder", str(out), "choose another --out")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST).is_file():
        raise GgdqError(
            "the output folder is not empty and was not created by ggdq-mcu", str(out), "choose another --out"
        )


def project_files(
    board: Board,
    interface: Interface,
    samples: Sequence[tuple[Arrays, Arrays]],
    optimization: str,
    native: str,
    app: App,
) -> dict[str, str | bytes]:
    """Everything in a project but the network itself, by path; ``native``: folder of its twin, or empty."""
    prefix = f"ggdq_{interface.name}"
    files: dict[str, str | bytes] = dict(board_files(board, app))
    templates = resources.root("templates") / "project"
    for source, target in _STATIC.items():
        files[target] = (templates / source).read_bytes()
    packed = [
        (b"".join(map(interface.pack_inputs, interface.frames(x))), interface.pack_outputs(y)) for x, y in samples
    ]
    rendered = {
        "app_model.h.j2": "include/app_model.h",
        "samples.h.j2": "test/test_network/samples.h",
        "platformio.ini.j2": "platformio.ini",
        "Makefile.j2": "Makefile",
        "README.md.j2": "README.md",
    }
    if not samples:
        del rendered["samples.h.j2"]
        for target in _STATIC.values():
            del files[target]
    libraries = [f"lib/{prefix}", *([native] if native else [])]
    described = [(template, folder, f"{folder}/{file}") for folder in libraries for template, file in _LIBRARY.items()]
    for template, folder, target in [*((template, "", target) for template, target in rendered.items()), *described]:
        files[target] = _render(
            template,
            board=board,
            interface=interface,
            prefix=prefix,
            samples=packed,
            bytes=_c_bytes,
            optimization=optimization,
            native=native,
            app=app,
            inverse=_reciprocal,
            folder=Path(folder).name,
        )
    return files


def board_files(board: Board, app: App) -> dict[str, str | bytes]:
    """The firmware around the network for ``board``: app, port, start-up, linker script."""
    firmware = resources.root("firmware")
    templates = resources.root("templates") / "project"
    files: dict[str, str | bytes] = {}
    sources = {f"app/{name}": "app" for name in (*_APP, *_CONSOLES[app.kind])}
    sources |= {"host/port_host.c": "host"} | dict.fromkeys(_board_sources(board), "board")
    if app.self_test and board.uart is not None:
        sources["startup/image_crc.c"] = "board"
        files["image_crc.py"] = (templates / "image_crc.py").read_bytes()
    if board.uart is not None:
        files[f"boards/{board.name}.json"] = board.manifest.read_bytes()
        for script in _BUILD_SCRIPTS:
            files[script] = (templates / script).read_bytes()
        files["include/board.h"] = _render(
            "board.h.j2", board=board, app=app, divider=lambda hz: uart_divider(board, hz)
        )
        files["link.ld"] = _render("link.ld.j2", board=board, stack_bytes=STACK_BYTES, app=app)
    if board.framework:
        files["include/app_port.h"] = _render("app_port.h.j2", app=app)
    for source, folder in sources.items():
        path = firmware / source
        if not path.is_file() or not path.resolve().is_relative_to(firmware.resolve()):
            fix = "a board names its port and the kind of its UART"
            raise GgdqError(f"there is no firmware/{source}", board.name, fix)
        files[f"src/{folder}/{path.name}"] = path.read_bytes()
    return files


def _board_sources(board: Board) -> list[str]:
    """The files under firmware/ that are the board's own."""
    if board.is_host:
        return []
    if board.uart is None:
        return [f"ports/port_{board.port}.cpp"]
    uart = _UARTS.get(board.uart.kind, board.uart.kind)
    port = [*_STARTUP[board.core.family], *_BARE_METAL, "ports/pins.h", f"ports/{uart}.c"]
    if not board.port.startswith("stm32"):
        return [*port, f"ports/chip_{board.port}.c"]
    pins, clock = ("stm32f1", "stm32f0") if board.port == "stm32f1" else ("stm32", board.port)
    port += ["ports/chip_stm32.c", f"ports/pins_{pins}.c"]
    alike = ["ports/clock_pll.h"] if clock in _CLOCKS_ALIKE else []
    return [*port, "ports/clock.h", *alike, f"ports/clock_{clock}.c"]


def uart_divider(board: Board, clock_hz: int) -> int:
    """Value of the baud rate register at this clock of the serial port."""
    assert board.uart is not None
    return round(clock_hz / board.uart.baud / TICKS_OF_DIVIDER.get(board.uart.kind, 1))


def _interface(network_files: Mapping[str, str | bytes]) -> Interface:
    for path, text in network_files.items():
        match = re.fullmatch(r"lib/ggdq_(\w+)/src/ggdq_\1\.h", path)
        if match and isinstance(text, str):
            return parse_header(match[1], text)
    raise ValueError("network_files lacks lib/ggdq_NAME/src/ggdq_NAME.h")


def _render(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(context)


@cache
def _environment() -> jinja2.Environment:
    """The project's templates; it keeps what it compiled."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.root("templates") / "project"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _reciprocal(step: float) -> tuple[int, int]:
    """(factor, shift) with 1 / step = factor / 2^shift, the factor of 38 bits, rounded; exact for powers of two."""
    shift = 37 + math.frexp(step)[1]
    exact = Fraction(2) ** shift / Fraction(step)
    while exact >= 1 << 38:
        exact, shift = exact / 2, shift - 1
    while exact < 1 << 37:
        exact, shift = exact * 2, shift + 1
    return min(round(exact), (1 << 38) - 1), shift


def _c_bytes(data: bytes) -> str:
    return ",".join(map(str, data))
