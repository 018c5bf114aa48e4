"""Reader for untrusted JSON files: each is validated by a schema (types, ranges, names), and unknown keys are refused.

``read`` takes any dataclass or pydantic model. What a board file may say stands here as well: its texts end up in C, in a
linker script and in platformio.ini, where PlatformIO runs what begins with "!" or stands in "${...}".
"""

from __future__ import annotations

import dataclasses
import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ggdq_mcu.errors import GgdqError

T = TypeVar("T")
_MOST_BYTES = 1 << 26
BOARD_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}\Z")
_OF_FIRMWARE = frozenset({"flash", "ram", "clock_hz", "reset_clock_hz"})
_PIN_KEYS = frozenset({"tx", "rx", "alternate_function", "enable", "gpio"})
_SHOWN = 200  # characters of what is wrong
_LEFT_OUT: Any = None  # what a key has that is not in the file; null in the file is refused


def read_file(path: Path, kind: type[T], what: str, fix: str = "") -> T:
    """What the JSON file ``path`` holds; GgdqError where it is not ``what``: "a board", "a baseline"."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise GgdqError(f"too large for {what}", str(path), fix)
        content = path.read_bytes()
    except OSError as error:
        raise GgdqError(f"cannot be read ({error.strerror})", str(path), fix) from error
    return read(content, kind, str(path), what, fix)


def read(content: bytes, kind: type[T], where: str, what: str, fix: str = "") -> T:
    """What JSON text holds; GgdqError with the first thing that is wrong."""
    _forbid_unknown(kind)
    try:
        return TypeAdapter(kind).validate_json(content, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"]))[:_SHOWN]
        told = f"{place}: {first['msg']}" if place else str(first["msg"])
        raise GgdqError(f"not {what} ({' '.join(told.split())[: 2 * _SHOWN]})", where, fix) from error


def _forbid_unknown(kind: Any) -> None:
    """Has pydantic refuse keys that a dataclass, or one inside it, does not have."""
    if dataclasses.is_dataclass(kind) and "__pydantic_config__" not in vars(kind):
        kind.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # type: ignore[union-attr]
        for hint in typing.get_type_hints(kind).values():
            _forbid_unknown(hint)
    for inner in typing.get_args(kind):
        _forbid_unknown(inner)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, frozen=True)


_Hex = Annotated[str, Field(pattern=r"^0[xX][0-9A-Fa-f]{1,8}\z")]
_Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.+-]{0,59}\z")]
_Word = Annotated[str, Field(pattern=r"^[a-z0-9_]{1,40}\z")]
_Title = Annotated[str, Field(pattern=r"^[A-Za-z0-9 .,:+()/&@_-]{1,80}\z")]
_Platform = Annotated[str, Field(pattern=r"^(https://)?[A-Za-z0-9][A-Za-z0-9._/@:~^=#+-]{0,199}\z")]
_Option = Annotated[str, Field(pattern=r"^board_[a-z_]+(\.[A-Za-z0-9_.]+)?\z")]
_Value = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:+/ -]{1,100}\z")]
_Pin = Annotated[str, Field(pattern=r"^P[A-K]([0-9]|1[0-5])\z")]
_Bit = Annotated[int, Field(ge=0, le=31)]
_Hertz = Annotated[int, Field(ge=1_000, le=4_000_000_000)]


class Memory(_Strict):
    """A range of addresses."""

    origin: _Hex
    size: Annotated[int, Field(ge=1, le=1 << 32)]


class Gate(_Strict):
    """A bit of a register."""

    register_: Annotated[_Hex, Field(alias="register")]
    bit: _Bit


class Gpio(_Strict):
    """A GPIO port and its clock gate."""

    base: _Hex
    enable: Gate


class Uart(_Strict):
    """The serial port; pins, gate and GPIO port all or none."""

    kind: _Word
    base: _Hex
    clock_hz: _Hertz
    baud: Annotated[int, Field(ge=300, le=12_000_000)]
    tx: _Pin = Field(default=_LEFT_OUT)
    rx: _Pin = Field(default=_LEFT_OUT)
    alternate_function: Annotated[int, Field(ge=0, le=15)] = Field(default=_LEFT_OUT)
    enable: Gate = Field(default=_LEFT_OUT)
    gpio: Gpio = Field(default=_LEFT_OUT)


class Cache(_Strict):
    """A cache in front of flash."""

    lines: Annotated[int, Field(ge=1, le=1 << 20)]
    line_bytes: Annotated[int, Field(ge=1, le=4096)]


class FlashTiming(_Strict):
    """The flash as the estimate of cycles models it."""

    wait_states: Annotated[int, Field(ge=0, le=64)]
    instructions: Cache = Field(default=_LEFT_OUT)
    data: Cache = Field(default=_LEFT_OUT)
    unified: Cache = Field(default=_LEFT_OUT)
    source: Annotated[str, Field(max_length=200)]


class Qemu(_Strict):
    """The machine in QEMU."""

    program: Annotated[str, Field(pattern=r"^qemu-system-[a-z0-9_]{1,20}\z")]
    machine: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}\z")]
    serial_port: Annotated[int, Field(ge=0, le=8)]


class BoardKeys(_Strict):
    """The key "ggdq" of a board file."""

    core: _Name
    platform: _Platform
    port: _Word
    framework: Literal["", "arduino"] = ""
    options: Annotated[dict[_Option, _Value], Field(max_length=20)] = {}
    aliases: Annotated[list[_Name], Field(max_length=20)] = []
    flash: Memory = Field(default=_LEFT_OUT)
    ram: Memory = Field(default=_LEFT_OUT)
    clock_hz: _Hertz = Field(default=_LEFT_OUT)
    reset_clock_hz: _Hertz = Field(default=_LEFT_OUT)
    uart: Uart = Field(default=_LEFT_OUT)
    qemu: Qemu = Field(default=_LEFT_OUT)
    flash_timing: FlashTiming = Field(default=_LEFT_OUT)


class BoardFile(BaseModel):
    """A PlatformIO board manifest; its other keys are PlatformIO's."""

    model_config = ConfigDict(extra="allow", strict=True)
    name: _Title
    ggdq: BoardKeys


def board_file(path: Path) -> dict[str, Any]:
    """The manifest of a board; GgdqError for one that would do more than describe a board."""
    fix = "a board is a PlatformIO board manifest with a key 'ggdq', see docs/porting.md"
    if not BOARD_NAME.match(path.stem):
        raise GgdqError("a board's file has letters, digits, '_', '-', '+' and '.' in its name", str(path)[-_SHOWN:])
    read_file(path, BoardFile, "a board", fix)
    manifest: dict[str, Any] = json.loads(path.read_bytes())
    ours = manifest["ggdq"]
    pins = ours.get("uart", {})
    lacking = sorted(_OF_FIRMWARE - ours.keys()) if pins else []
    if lacking:
        raise GgdqError(f"a board with a uart has to have {lacking[0]!r} too", str(path), fix)
    if len(pins.keys() & _PIN_KEYS) not in (0, len(_PIN_KEYS)):
        raise GgdqError(f"its uart has to have all of {', '.join(sorted(_PIN_KEYS))}, or none", str(path), fix)
    for text in _texts(manifest):
        if text.startswith("!") or any(letter in "$`" or ord(letter) < 32 for letter in text):
            raise GgdqError(f"{text[:40]!r} is a command to PlatformIO, or no plain text", str(path), fix)
    return manifest


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value
