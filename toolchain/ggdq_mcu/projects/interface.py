"""What goes into a generated network and what comes out: read from the macros of its C header.

Several inputs (or outputs) travel as one run of bytes, each from a multiple of four.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError

Arrays = tuple[NDArray[Any], ...]

_ALIGNMENT = 4


@dataclass(frozen=True)
class Port:
    """One input or output: its name in C, its elements, its NumPy type, and its place in the run of bytes.

    Real value = step * (q - zero_point).
    """

    name: str
    elements: int
    dtype: str
    offset: int
    step: float
    zero_point: int

    @property
    def bytes(self) -> int:
        return self.elements * np.dtype(self.dtype).itemsize

    @property
    def low(self) -> int:
        """Least integer of the type."""
        return int(np.iinfo(self.dtype).min)

    @property
    def high(self) -> int:
        """Greatest integer of the type."""
        return int(np.iinfo(self.dtype).max)


@dataclass(frozen=True)
class Interface:
    """The C interface of a network called ``name`` (its symbols begin with ``ggdq_NAME_``).

    Of a stream the inputs are those of one frame; ``window`` and ``hop`` count frames, and are 0 elsewhere.
    """

    name: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    arena_bytes: int
    window: int = 0
    hop: int = 0

    @property
    def function(self) -> str:
        """The C function that computes."""
        return f"ggdq_{self.name}_{'push' if self.window else 'invoke'}"

    def frames(self, arrays: Sequence[NDArray[Any]]) -> list[Arrays]:
        """The frames of a sample (arrays of any shape), one after the other; the sample itself where there is no stream."""
        if not self.window:
            return [tuple(arrays)]
        apart = [np.reshape(array, (self.window, -1)) for array in arrays]
        return [tuple(array[i] for array in apart) for i in range(self.window)]

    @property
    def input_bytes(self) -> int:
        return _total(self.inputs)

    @property
    def input_end(self) -> int:
        """Bytes of the inputs without what only aligns the end."""
        return self.inputs[-1].offset + self.inputs[-1].bytes

    @property
    def output_bytes(self) -> int:
        return _total(self.outputs)

    @property
    def output_elements(self) -> int:
        return sum(port.elements for port in self.outputs)

    def pack_inputs(self, arrays: Sequence[NDArray[Any]] | NDArray[Any]) -> bytes:
        """The input arrays (any shape, the port's type) as one run of bytes; GgdqError if they do not fit."""
        return _pack(self.inputs, arrays)

    def pack_outputs(self, arrays: Sequence[NDArray[Any]] | NDArray[Any]) -> bytes:
        """The output arrays as one run of bytes."""
        return _pack(self.outputs, arrays)

    def unpack_outputs(self, data: bytes) -> Arrays:
        """The outputs, each flat, from the bytes that a board answered."""
        return tuple(
            np.frombuffer(data, little_endian(port.dtype), port.elements, port.offset).astype(port.dtype)
            for port in self.outputs
        )


def parse_header(name: str, text: str) -> Interface:
    """The interface that the header ``ggdq_NAME.h`` declares."""
    macros = dict(re.findall(rf"^#define GGDQ_{re.escape(name.upper())}_(\w+) +([\w.+-]+)$", text, re.MULTILINE))
    try:
        return Interface(
            name,
            _ports(macros, "INPUT", int(macros["INPUTS"])),
            _ports(macros, "OUTPUT", int(macros["OUTPUTS"])),
            int(macros["ARENA_BYTES"]),
            int(macros.get("WINDOW", 0)),
            int(macros.get("HOP", 0)),
        )
    except (KeyError, ValueError) as error:
        what = f"the header does not define {error}"
        raise GgdqError(what, f"ggdq_{name}.h", "build the project again") from error


def read_interface(project: Path) -> Interface:
    """The interface of the network in a generated project."""
    headers = sorted(project.glob("lib/ggdq_*/src/ggdq_*.h"))
    for header in headers:
        if header.stem == header.parents[1].name:
            return parse_header(header.stem.removeprefix("ggdq_"), header.read_text(encoding="utf-8"))
    raise GgdqError("not a project: no lib/ggdq_NAME in it", str(project), "make one with ggdq-mcu build")


def little_endian(dtype: str) -> np.dtype[Any]:
    """The type as it travels."""
    return np.dtype(dtype).newbyteorder("<")


def native_library(name: str) -> str:
    """Folder in a project of the network's twin for this computer; it is there where the board's is not portable."""
    return f"portable/ggdq_{name}_portable"


def _ports(macros: dict[str, str], word: str, count: int) -> tuple[Port, ...]:
    ports: list[Port] = []
    for key in [word] if count == 1 else [f"{word}_{i}" for i in range(count)]:
        dtype = f"{'int' if int(macros[f'{key}_SIGNED']) else 'uint'}{int(macros[f'{key}_BITS'])}"
        elements, zero_point = int(macros[f"{key}_ELEMENTS"]), int(macros[f"{key}_ZERO_POINT"])
        step = float(macros[f"{key}_STEP"])
        ports.append(Port(key.lower(), elements, dtype, _total(tuple(ports)), step, zero_point))
    return tuple(ports)


def _total(ports: tuple[Port, ...]) -> int:
    end = ports[-1].offset + ports[-1].bytes if ports else 0
    return -(-end // _ALIGNMENT) * _ALIGNMENT


def _pack(ports: tuple[Port, ...], arrays: Sequence[NDArray[Any]] | NDArray[Any]) -> bytes:
    many = (arrays,) if isinstance(arrays, np.ndarray) else tuple(arrays)
    if len(many) != len(ports):
        raise GgdqError(f"{len(many)} arrays given, the network has {len(ports)}")
    run = bytearray(_total(ports))
    for port, array in zip(ports, many, strict=True):
        if array.dtype != np.dtype(port.dtype) or array.size != port.elements:
            what = f"{array.size} elements {array.dtype} given, it wants {port.elements} {port.dtype}"
            raise GgdqError(what, f"network {port.name}")
        data = array.astype(little_endian(port.dtype)).tobytes()
        run[port.offset : port.offset + len(data)] = data
    return bytes(run)
