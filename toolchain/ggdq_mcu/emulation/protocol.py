"""How do a computer and a board talk over a serial line that loses, doubles and garbles bytes?

firmware/app/frame.h is the board's side and has the format of a frame.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ggdq_mcu.emulation.backend import Samples, Trace
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import Arrays, Interface

VERSION = 1

_MAGIC = b"\xa5\x5a"
_HEADER = struct.Struct("<2sBBII")
_CRC = struct.Struct("<I")
_LONGEST = 1 << 24


class FrameType(IntEnum):
    """Requests, and answers from 0x80 on."""

    INFO = 0x01
    RUN = 0x02
    TRACE = 0x03
    INFO_ANSWER = 0x81
    OUTPUT = 0x82
    LAYER = 0x83
    ERROR = 0xFF


class BoardError(IntEnum):
    """What a board says of a request that it does not answer."""

    CORRUPT = 1
    LENGTH = 2
    TYPE = 3


@dataclass(frozen=True)
class Frame:
    """One message."""

    type: int
    sequence: int
    payload: bytes = b""


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the line."""
    start = struct.pack("<2sBBI", _MAGIC, frame.type, frame.sequence, len(frame.payload))
    body = start + _CRC.pack(zlib.crc32(start)) + frame.payload
    return body + _CRC.pack(zlib.crc32(body))


class Decoder:
    """Finds the frames in what arrives; everything else is dropped."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes."""
        self._buffer += data
        frames = []
        while (found := self._next()) is not None:
            frames.append(found)
        return frames

    def _next(self) -> Frame | None:
        buffer = self._buffer
        while True:
            start = buffer.find(_MAGIC)
            if start < 0:
                del buffer[: len(buffer) - buffer.endswith(_MAGIC[:1])]
                return None
            del buffer[:start]
            if len(buffer) < _HEADER.size:
                return None
            _, kind, sequence, length, crc = _HEADER.unpack_from(buffer)
            if zlib.crc32(buffer[: _HEADER.size - _CRC.size]) != crc or length > _LONGEST:
                del buffer[0]
                continue
            end = _HEADER.size + length
            if len(buffer) < end + _CRC.size:
                return None
            if zlib.crc32(buffer[:end]) != _CRC.unpack_from(buffer, end)[0]:
                del buffer[0]
                continue
            frame = Frame(kind, sequence, bytes(buffer[_HEADER.size : end]))
            del buffer[: end + _CRC.size]
            return frame


class Transport(Protocol):
    """A line to a board."""

    name: str

    def write(self, data: bytes) -> None:
        """Sends bytes."""
        ...

    def read(self) -> bytes:
        """Some bytes that have arrived; b"" once nothing more comes."""
        ...


@dataclass(frozen=True)
class BoardInfo:
    """What a board says of itself; sizes in bytes."""

    version: int
    input_bytes: int
    output_bytes: int
    arena_bytes: int
    clock_hz: int
    can_trace: bool
    name: str


@dataclass(frozen=True)
class Answer:
    """One inference: outputs, the clock cycles it took (0: unknown), and each layer's output where asked.

    ``status`` is what the network returned: of a stream 1 where there are outputs, 0 where it needs more frames.
    """

    outputs: bytes
    cycles: int
    layers: dict[int, bytes]
    status: int = 0


class Client:
    """Asks a board, again where the line spoiled the question or the answer."""

    def __init__(self, transport: Transport, attempts: int = 5) -> None:
        self._transport = transport
        self._attempts = attempts
        self._decoder = Decoder()
        self._sequence = 0

    def info(self) -> BoardInfo:
        """Which network is on the board."""
        payload, _ = self._ask(FrameType.INFO, b"", FrameType.INFO_ANSWER)
        version, inputs, outputs, arena, clock, can_trace = struct.unpack_from("<6I", payload)
        name = payload[24:].decode("utf-8", "replace")
        return BoardInfo(version, inputs, outputs, arena, clock, bool(can_trace), name)

    def run(self, inputs: bytes, trace: bool = False, once: bool = False) -> Answer:
        """Runs the network. ``once``: where it is asked again it must not run again, but give the same answer."""
        request = FrameType.TRACE if trace else FrameType.RUN
        payload, layers = self._ask(request, inputs, FrameType.OUTPUT, once)
        status, cycles = struct.unpack_from("<iI", payload)
        if status < 0:
            raise GgdqError(f"the network answers with status {status}", self._transport.name)
        return Answer(payload[8:], cycles, layers, status)

    def _ask(
        self, request: FrameType, payload: bytes, wanted: FrameType, once: bool = False
    ) -> tuple[bytes, dict[int, bytes]]:
        for attempt in range(self._attempts):
            if attempt == 0 or not once:
                self._sequence = (self._sequence + 1) & 0xFF
            self._transport.write(encode(Frame(request, self._sequence, payload)))
            answer = self._listen(wanted)
            if answer is not None:
                return answer
        raise GgdqError("the board does not answer", self._transport.name, "is the firmware of this project on it?")

    def _listen(self, wanted: FrameType) -> tuple[bytes, dict[int, bytes]] | None:
        layers: dict[int, bytes] = {}
        while data := self._transport.read():
            for frame in self._decoder.feed(data):
                if frame.sequence != self._sequence:
                    continue
                if frame.type == wanted:
                    return frame.payload, layers
                if frame.type == FrameType.LAYER:
                    index = _CRC.unpack_from(frame.payload)[0]
                    layers[index] = (
                        layers.get(index, b"") + frame.payload[4:]
                    )  # rows after rows, where it runs in strips
                elif frame.type == FrameType.ERROR:
                    self._check(_CRC.unpack_from(frame.payload)[0])
                    return None
        return None

    def _check(self, error: int) -> None:
        """An error that sending again can mend, or else a GgdqError."""
        if error == BoardError.LENGTH:
            raise GgdqError("the network on the board wants inputs of another size", self._transport.name, "flash it")
        if error == BoardError.TYPE:
            fix = "flash one that tells its layers: ggdq-mcu flash DIR --layers"
            raise GgdqError("the firmware on the board cannot do this", self._transport.name, fix)


class Remote:
    """A network behind a line, as a backend."""

    def __init__(self, transport: Transport, interface: Interface) -> None:
        self.name = transport.name
        self.interface = interface
        self.client = Client(transport)
        self.cycles: list[int] = []
        info = self.client.info()
        told = (info.name, info.input_bytes, info.output_bytes)
        if told != (interface.name, interface.input_bytes, interface.output_bytes):
            sizes = f"{info.input_bytes} bytes in, {info.output_bytes} out"
            what = f"the board has the network '{info.name}' ({sizes})"
            raise GgdqError(what, self.name, f"flash '{interface.name}'")
        self.info = info

    def run(self, samples: Samples) -> list[Arrays]:
        """The outputs for each sample; ``cycles`` then holds what each took. A stream begins anew with each sample."""
        self.cycles, outputs = [], []
        for sample in samples:
            if self.interface.window:
                self.reset()
            answers = [self.answer(frame) for frame in self.interface.frames(sample)]
            self.cycles.append(sum(answer.cycles for answer in answers))
            outputs.append(self.interface.unpack_outputs(answers[-1].outputs))
        return outputs

    def answer(self, inputs: Arrays) -> Answer:
        """The answer to one input, of a stream to one frame."""
        return self.client.run(self.interface.pack_inputs(inputs), once=self.interface.window > 0)

    def reset(self) -> None:
        """Begins a new stream."""
        self.client.info()

    def push(self, frame: Arrays) -> Arrays | None:
        """The next frame of a stream; the outputs where a window is complete, else None."""
        answer = self.answer(frame)
        return self.interface.unpack_outputs(answer.outputs) if answer.status else None

    def trace(self, sample: Arrays) -> Trace:
        """Every layer's output, where the firmware was compiled with GGDQ_TRACE."""
        answer = self.client.run(self.interface.pack_inputs(sample), trace=True)
        return Trace(self.interface.unpack_outputs(answer.outputs), answer.layers, {})
