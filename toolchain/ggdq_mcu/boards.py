"""Which boards are known, what core and how much memory does each have, and how is code compiled for it?

A board is one file ``boards/NAME.json``: a PlatformIO board manifest with one extra key, "ggdq".
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ggdq_mcu import resources
from ggdq_mcu.errors import GgdqError

#: By family: what the names of compiler, linker and the like begin with.
_TOOLS = {"cortex-m": "arm-none-eabi-", "riscv": "riscv64-unknown-elf-"}

_SUGGESTED = 6  # boards in a message


@dataclass(frozen=True)
class Core:
    """A processor core: how code is compiled for it and what kernels may use.

    ``dsp``: dual 16-bit multiplies (SMLAD); ``mve``: Helium; ``fpu``: a hardware FPU (start-up enables it;
    the network itself uses none); ``unicorn``: the CPU model in Unicorn (UC_CPU_ARM_..., UC_CPU_...), or "".
    """

    name: str
    family: str  # "cortex-m" | "riscv" | "xtensa" | "host"
    flags: tuple[str, ...] = ()
    dsp: bool = False
    mve: bool = False
    fpu: bool = False
    unicorn: str = ""

    @property
    def tools(self) -> str:
        """What the names of its compiler and linker begin with, "" where they are this computer's or unknown."""
        return _TOOLS.get(self.family, "")

    @property
    def multiplier(self) -> str:
        """Integer multiply: "dual" 16-bit with addition (DSP), "accumulate", "single", "" (left to the compiler)."""
        if self.family != "cortex-m":
            return ""
        if self.dsp:
            return "dual"
        return "single" if self.name in ("cortex-m0", "cortex-m0plus", "cortex-m23") else "accumulate"


def _cortex_m(name: str, *flags: str, **features: Any) -> Core:
    abi = "hard" if features.get("fpu") else "soft"
    return Core(f"cortex-{name}", "cortex-m", (*flags, "-mthumb", f"-mfloat-abi={abi}"), **features)


#: GCC 12 makes wrong masks of constant conditions where it vectorizes C for Helium; kernels for Helium are assembly.
_SCALAR = "-fno-tree-vectorize"

CORES: dict[str, Core] = {
    core.name: core
    for core in (
        _cortex_m("m0", "-mcpu=cortex-m0", unicorn="CORTEX_M0"),
        _cortex_m("m0plus", "-mcpu=cortex-m0plus", unicorn="CORTEX_M0"),
        _cortex_m("m3", "-mcpu=cortex-m3", unicorn="CORTEX_M3"),
        _cortex_m("m4", "-mcpu=cortex-m4", "-mfpu=fpv4-sp-d16", dsp=True, fpu=True, unicorn="CORTEX_M4"),
        _cortex_m("m7", "-mcpu=cortex-m7", "-mfpu=fpv5-d16", dsp=True, fpu=True, unicorn="CORTEX_M7"),
        _cortex_m("m23", "-mcpu=cortex-m23"),
        _cortex_m("m33", "-mcpu=cortex-m33", "-mfpu=fpv5-sp-d16", dsp=True, fpu=True, unicorn="CORTEX_M33"),
        _cortex_m("m55", "-mcpu=cortex-m55", _SCALAR, dsp=True, mve=True, fpu=True),
        # GCC 12 does not know the M85 by name; its architecture is the M55's.
        _cortex_m("m85", "-march=armv8.1-m.main+mve.fp+fp.dp", _SCALAR, dsp=True, mve=True, fpu=True),
        Core("rv32imc", "riscv", ("-march=rv32imc", "-mabi=ilp32"), unicorn="RISCV32_SIFIVE_E31"),
        Core("xtensa-lx6", "xtensa"),
        Core("xtensa-lx7", "xtensa"),
        Core("host", "host"),
    )
}


@dataclass(frozen=True)
class Memory:
    """A range of addresses; ``size`` in bytes."""

    origin: int
    size: int

    def __contains__(self, address: int) -> bool:
        return self.origin <= address < self.origin + self.size


@dataclass(frozen=True)
class Cache:
    """A cache in front of flash: ``lines`` of ``line_bytes`` each."""

    lines: int
    line_bytes: int


#: Cycles of a miss for a flash of so many wait states, over wait states + 1. Of the data and the instruction cache of an
#: STM32L4R5 (5 wait states, lines of 32 bytes): 17.7 and 5 cycles fit the published latencies of five firmware; the
#: prefetch makes instructions cheaper.
_DATA_MISS, _INSTRUCTION_MISS, _FITTED_LINE = 17.7 / 6, 5 / 6, 32


@dataclass(frozen=True)
class Flash:
    """The chip's flash at the board's clock: wait states and the caches in front of it, None where there is none.

    ``data`` is ``instructions`` itself where both share one cache. ``source`` says where the figures come from.
    """

    wait_states: int
    instructions: Cache | None
    data: Cache | None
    source: str

    @property
    def text(self) -> str:
        """The model in words."""
        kinds = {"instructions": self.instructions, "data": self.data}
        caches = [
            f"{cache.lines} lines of {cache.line_bytes} bytes for {kind}" for kind, cache in kinds.items() if cache
        ]
        if self.data is not None and self.data is self.instructions:
            caches = [f"{self.data.lines} lines of {self.data.line_bytes} bytes"]
        behind = f", caches of {' and '.join(caches)}" if caches else ", no cache"
        return f"{self.wait_states} wait states{behind} ({self.source})"

    @property
    def instruction_miss(self) -> float:
        """Cycles that a line of instructions takes."""
        return self._miss(_INSTRUCTION_MISS, self.instructions)

    @property
    def data_miss(self) -> float:
        """Cycles that a line of data takes."""
        return self._miss(_DATA_MISS, self.data)

    def _miss(self, fitted: float, cache: Cache | None) -> float:
        return fitted * (self.wait_states + 1) * (cache.line_bytes / _FITTED_LINE if cache else 0)


@dataclass(frozen=True)
class Pins:
    """The pins of a serial port, like "PA2", both of one GPIO port.

    ``enable`` and ``gpio_enable`` are (register, bit) of the clock gates of serial port and GPIO port.
    """

    tx: str
    rx: str
    alternate_function: int
    enable: tuple[int, int]
    gpio_base: int
    gpio_enable: tuple[int, int]

    @property
    def tx_pin(self) -> int:
        return int(self.tx[2:])

    @property
    def rx_pin(self) -> int:
        return int(self.rx[2:])


@dataclass(frozen=True)
class Uart:
    """The serial port that the app uses: registers at ``base``, its clock in Hz; ``pins`` where it needs some."""

    kind: str
    base: int
    clock_hz: int
    baud: int
    pins: Pins | None


@dataclass(frozen=True)
class Qemu:
    """The machine that stands for a board in QEMU: the program, its -machine, which serial port is the app's."""

    program: str
    machine: str
    serial_port: int


@dataclass(frozen=True)
class Board:
    """A board: ``name`` is its PlatformIO name; ``flash`` and ``ram`` are None on the host.

    ``uart`` is None where a framework ("arduino") drives the board, and on the host. ``options`` are more lines for
    its environment in platformio.ini. ``timing``: the flash as the estimate of cycles models it, None where unknown.
    """

    name: str
    title: str
    core: Core
    platform: str
    framework: str
    options: tuple[tuple[str, str], ...]
    port: str
    aliases: tuple[str, ...]
    flash: Memory | None
    ram: Memory | None
    clock_hz: int
    reset_clock_hz: int
    uart: Uart | None
    qemu: Qemu | None
    manifest: Path
    timing: Flash | None = None

    @property
    def is_host(self) -> bool:
        """Is it this computer?"""
        return self.core.family == "host"

    @property
    def uart_clocks_hz(self) -> tuple[int, int]:
        """The clock of the app's serial port in Hz: at full speed, and where the core stays at its reset clock."""
        assert self.uart is not None
        fixed = self.clock_hz == self.reset_clock_hz
        return self.uart.clock_hz, self.uart.clock_hz if fixed else self.reset_clock_hz

    @property
    def searched(self) -> str:
        """What a board may be looked for by, in small letters: names, title, core and chip."""
        chips = re.findall(r'"mcu": *"([^"]*)"', self.manifest.read_text(encoding="utf-8"))
        return " ".join((self.name, *self.aliases, self.title, self.core.name, *chips)).lower()

    @property
    def flash_bytes(self) -> int | None:
        """Flash in bytes, None where it is not limited (host)."""
        return self.flash.size if self.flash else None

    @property
    def ram_bytes(self) -> int | None:
        """RAM in bytes, None where it is not limited (host)."""
        return self.ram.size if self.ram else None


def load(name_or_path: str | Path) -> Board:
    """The board with this name or alias, or described by this JSON file; a GgdqError if there is none."""
    text = str(name_or_path)
    if text.endswith(".json") or "/" in text:
        return _read(Path(text))
    boards = all_boards()
    for board in boards:
        if text == board.name or text in board.aliases:
            return board
    raise GgdqError(f"unknown board '{text}'", fix=_suggestion(text, boards))


def _suggestion(text: str, boards: Sequence[Board]) -> str:
    """Boards whose name, title, chip or core has all the words of ``text``, else one whose name is spelt nearly so."""
    words = re.findall(r"[a-z]+[0-9]*[a-z0-9]*|[0-9]+", text.lower())
    found = [
        board.name for board in boards if len(text) > 2 and words and all(word in board.searched for word in words)
    ]
    if found:
        more = f" and {len(found) - _SUGGESTED} more (ggdq-mcu boards)" if len(found) > _SUGGESTED else ""
        return f"boards with {text!r}: {', '.join(found[:_SUGGESTED])}{more}"
    names = [name for board in boards for name in (board.name, *board.aliases)]
    close = difflib.get_close_matches(text.lower(), names, n=1, cutoff=0.7)
    own = "ggdq-mcu boards lists the known ones, docs/porting.md says how to describe another"
    return f"did you mean '{close[0]}'? {own}" if close else own


@functools.cache
def all_boards() -> tuple[Board, ...]:
    """Every board that ships with the package, by name."""
    return tuple(_read(path) for path in sorted(resources.root("boards").glob("*.json")))


def _read(path: Path) -> Board:
    from ggdq_mcu.schema import board_file  # 0.1 s that commands without a board do without

    return _board(path, board_file(path))


def _board(path: Path, manifest: dict[str, Any]) -> Board:
    ours = manifest["ggdq"]
    if ours["core"] not in CORES:
        raise GgdqError(f"unknown core '{ours['core']}'", str(path), "known: " + ", ".join(CORES))
    return Board(
        name=path.stem,
        title=manifest["name"],
        core=CORES[ours["core"]],
        platform=ours["platform"],
        framework=ours.get("framework", ""),
        options=tuple(ours.get("options", {}).items()),
        port=ours["port"],
        aliases=tuple(ours.get("aliases", ())),
        flash=_memory(ours["flash"]) if "flash" in ours else None,
        ram=_memory(ours["ram"]) if "ram" in ours else None,
        clock_hz=int(ours.get("clock_hz", 0)),
        reset_clock_hz=int(ours.get("reset_clock_hz", 0)),
        uart=_uart(ours["uart"]) if "uart" in ours else None,
        qemu=Qemu(**ours["qemu"]) if "qemu" in ours else None,
        manifest=path,
        timing=_timing(ours["flash_timing"]) if "flash_timing" in ours else None,
    )


def _memory(value: dict[str, Any]) -> Memory:
    return Memory(int(value["origin"], 0), int(value["size"]))


def _timing(value: dict[str, Any]) -> Flash:
    instructions, data = (Cache(**value[key]) if key in value else None for key in ("instructions", "data"))
    if value.get("unified"):
        instructions = data = Cache(**value["unified"])
    return Flash(int(value["wait_states"]), instructions, data, str(value["source"]))


def _gate(value: dict[str, Any]) -> tuple[int, int]:
    return int(value["register"], 0), int(value["bit"])


def _uart(value: dict[str, Any]) -> Uart:
    return Uart(
        kind=value["kind"],
        base=int(value["base"], 0),
        clock_hz=int(value["clock_hz"]),
        baud=int(value["baud"]),
        pins=_pins(value) if "tx" in value else None,
    )


def _pins(value: dict[str, Any]) -> Pins:
    return Pins(
        tx=value["tx"],
        rx=value["rx"],
        alternate_function=int(value["alternate_function"]),
        enable=_gate(value["enable"]),
        gpio_base=int(value["gpio"]["base"], 0),
        gpio_enable=_gate(value["gpio"]["enable"]),
    )
