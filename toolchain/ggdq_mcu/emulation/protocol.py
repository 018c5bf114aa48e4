"""How do a computer and a board talk over a serial line that loses, doubles and garbles bytes?

firmware/app/frame.h is the board's side and has the format of a frame.
"""

from __future__ import annotations

import struct
import time
import zlib
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from ggdq_mcu.emulation.backend import Samples, Trace
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.projects.interface import Arrays, Interface

VERSION = 2

CHUNK_BYTES = 256  # of the inputs, in one frame
_MAGIC = b"\xa5\x5a"
_HEADER = struct.Struct("<2sBBIHI")
_CRC = struct.Struct("<I")
_OUTPUT = struct.Struct("<iIII")  # status, cycles, bytes of all outputs, frames with layers before it
#: Ends whatever a board has begun to receive: a frame, or a line of its console.
FLUSH = bytes(_HEADER.size + CHUNK_BYTES + _CRC.size) + b"\r\n"
_PAUSE_S = 0.002  # between chunks that are sent again, more with each time: the board may be slower than the line


class FrameType(IntEnum):
    """Requests, and answers from 0x80 on."""

    INFO = 0x01
    RUN = 0x02
    TRACE = 0x03
    INPUT = 0x04
    READ = 0x05
    INFO_ANSWER = 0x81
    OUTPUT = 0x82
    LAYER = 0x83
    ERROR = 0xFF


class BoardError(IntEnum):
    """What a board says of a request that it does not answer."""

    CORRUPT = 1
    LENGTH = 2
    TYPE = 3
    MISSING = 4


@dataclass(frozen=True)
class Frame:
    """One message; ``offset``: place of the payload in what it is a part of."""

    type: int
    sequence: int
    payload: bytes = b""
    offset: int = 0


def encode(frame: Frame) -> bytes:
    """The frame as it goes over the line."""
    start = struct.pack("<2sBBIH", _MAGIC, frame.type, frame.sequence, frame.offset, len(frame.payload))
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
            _, kind, sequence, offset, length, crc = _HEADER.unpack_from(buffer)
            if zlib.crc32(buffer[: _HEADER.size - _CRC.size]) != crc:
                del buffer[0]
                continue
            end = _HEADER.size + length
            if len(buffer) < end + _CRC.size:
                return None
            if zlib.crc32(buffer[:end]) != _CRC.unpack_from(buffer, end)[0]:
                del buffer[0]
                continue
            frame = Frame(kind, sequence, bytes(buffer[_HEADER.size : end]), offset)
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


class _Gathered:
    """The frames that answer one run, as they come: outputs by offset, layers by number."""

    def __init__(self) -> None:
        self._outputs: dict[int, bytes] = {}
        self._layers: dict[int, bytes] = {}
        self._status, self._cycles, self._bytes, self._layer_frames = 0, 0, 0, 0

    def take(self, frame: Frame) -> None:
        """Adds a frame; GgdqError is left to the caller."""
        if frame.type == FrameType.LAYER:
            self._layers[frame.offset] = frame.payload
        elif frame.type == FrameType.OUTPUT and len(frame.payload) > _OUTPUT.size:
            self._status, self._cycles, self._bytes, self._layer_frames = _OUTPUT.unpack_from(frame.payload)
            self._outputs[frame.offset] = frame.payload[_OUTPUT.size :]

    def gap(self) -> tuple[int, int] | None:
        """Offset and bytes of the first outputs that are missing; None before any has come, and where none is."""
        at = 0
        for offset in sorted(self._outputs):
            if offset > at:
                return at, offset - at
            at = max(at, offset + len(self._outputs[offset]))
        return (at, self._bytes - at) if self._outputs and at < self._bytes else None

    def answer(self, layers: bool) -> Answer | None:
        """The whole answer, once everything is there."""
        if not self._outputs or self.gap() or (layers and not self._layers.keys() >= set(range(self._layer_frames))):
            return None
        outputs = b"".join(self._outputs[offset] for offset in sorted(self._outputs))
        found: dict[int, bytes] = {}
        for number in range(self._layer_frames if layers else 0):
            index = _CRC.unpack_from(self._layers[number])[0]
            found[index] = found.get(index, b"") + self._layers[number][4:]  # rows after rows, where it runs in strips
        return Answer(outputs, self._cycles, found, self._status)


class Client:
    """Asks a board, again where the line spoiled the question or the answer: only the part that is missing."""

    def __init__(self, transport: Transport, attempts: int = 5) -> None:
        self._transport = transport
        self._attempts = attempts
        self._decoder = Decoder()
        self._sequence = 0
        self._begun = False

    def info(self) -> BoardInfo:
        """Which network is on the board. What was begun before on this line is over."""
        self._sequence = (self._sequence + 1) & 0xFF
        for _ in range(self._attempts):
            self._send(FrameType.INFO)
            while (frames := self._frames()) is not None:
                for frame in frames:
                    if frame.type == FrameType.INFO_ANSWER:
                        self._begun = True
                        return self._info_of(frame.payload)
            self._transport.write(FLUSH)
        raise self._silence()

    def _info_of(self, payload: bytes) -> BoardInfo:
        if len(payload) < 24:
            raise GgdqError("the board's answer is too short", self._transport.name, "flash the project again")
        version, inputs, outputs, arena, clock, can_trace = struct.unpack_from("<6I", payload)
        if version != VERSION:
            what = f"the firmware speaks version {version} of the protocol, this is version {VERSION}"
            raise GgdqError(what, self._transport.name, "build and flash the project again")
        name = payload[24:].decode("utf-8", "replace")
        return BoardInfo(version, inputs, outputs, arena, clock, bool(can_trace), name)

    def run(self, inputs: bytes, trace: bool = False) -> Answer:
        """Runs the network. Where a stream's answer is lost, the board sends it again and does not run again."""
        if not self._begun:  # the board forgets what another client has sent
            self.info()
        self._sequence = (self._sequence + 1) & 0xFF
        request = FrameType.TRACE if trace else FrameType.RUN
        gathered = _Gathered()
        missing: list[int] = list(range(0, len(inputs), CHUNK_BYTES))
        silences, resent = 0, 0
        while silences < self._attempts and resent <= self._attempts + len(inputs) // CHUNK_BYTES:
            for offset in missing:
                self._send(FrameType.INPUT, inputs[offset : offset + CHUNK_BYTES], offset)
                time.sleep(min(resent, self._attempts) * _PAUSE_S)
            gap = None if trace else gathered.gap()
            if gap:
                self._send(FrameType.READ, _CRC.pack(gap[1]), gap[0])
            else:
                self._send(request)
            told = self._gather(gathered, trace)
            if isinstance(told, Answer):
                if told.status < 0:
                    raise GgdqError(f"the network answers with status {told.status}", self._transport.name)
                return told
            missing = [offset for offset in told or [] if offset < len(inputs)]
            silences, resent = (silences + 1, resent) if told is None else (silences, resent + 1)
            if told is None:
                self._transport.write(FLUSH)
        raise self._silence()

    def _gather(self, gathered: _Gathered, trace: bool) -> Answer | list[int] | None:
        """What one request brings: the whole answer, offsets of chunks that the board lacks, or None after silence."""
        while (frames := self._frames()) is not None:
            for frame in frames:
                gathered.take(frame)
                if frame.type == FrameType.ERROR:
                    return self._lacking(frame.payload)
                if frame.type == FrameType.OUTPUT and (answer := gathered.answer(trace)) is not None:
                    return answer
        return None

    def _lacking(self, payload: bytes) -> list[int]:
        """Offsets of chunks to send again, none where only the request is; GgdqError where that does not help."""
        error, *offsets = struct.unpack(f"<{len(payload) // 4}I", payload[: len(payload) & ~3]) or (0,)
        if error == BoardError.LENGTH:
            raise GgdqError("the network on the board wants inputs of another size", self._transport.name, "flash it")
        if error == BoardError.TYPE:
            fix = "flash one that tells its layers: ggdq-mcu flash DIR --layers"
            raise GgdqError("the firmware on the board cannot do this", self._transport.name, fix)
        return [offset for offset in offsets if offset % CHUNK_BYTES == 0]

    def _send(self, kind: FrameType, payload: bytes = b"", offset: int = 0) -> None:
        self._transport.write(encode(Frame(kind, self._sequence, payload, offset)))

    def _frames(self) -> list[Frame] | None:
        """The frames for this request in what arrives next; None after silence."""
        data = self._transport.read()
        return [one for one in self._decoder.feed(data) if one.sequence == self._sequence] if data else None

    def _silence(self) -> GgdqError:
        return GgdqError("the board does not answer", self._transport.name, "is the firmware of this project on it?")


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
        return self.client.run(self.interface.pack_inputs(inputs))

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
