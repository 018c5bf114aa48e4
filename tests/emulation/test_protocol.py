"""Frames are found whatever the line does to them, and a client gets its answer or says why not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.emulation import serial_board
from ggdq_mcu.emulation.protocol import VERSION, BoardError, Client, Decoder, Frame, FrameType, encode
from ggdq_mcu.emulation.serial_board import SerialLine
from ggdq_mcu.errors import GgdqError

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40), st.integers(0, 2**32 - 1))
noise = st.binary(max_size=30) | st.just(b"\xa5\x5a") | st.just(b"\xa5")


@given(st.lists(frames, max_size=5), st.integers(1, 20))
def test_frames_arrive_as_they_were_sent_in_pieces_of_any_size(sent: list[Frame], piece: int) -> None:
    line = b"".join(map(encode, sent))
    decoder = Decoder()
    received = [frame for i in range(0, len(line), piece) for frame in decoder.feed(line[i : i + piece])]
    assert received == sent


@given(noise, frames)
def test_a_frame_is_found_behind_any_noise(before: bytes, frame: Frame) -> None:
    decoder = Decoder()
    received = decoder.feed(before + encode(frame))
    assert received == [frame]


@given(frames, frames, st.data())
def test_a_frame_is_found_behind_one_that_lost_a_byte(first: Frame, second: Frame, data: st.DataObject) -> None:
    line = encode(first)
    place = data.draw(st.integers(0, len(line) - 1))
    received = Decoder().feed(line[:place] + line[place + 1 :] + encode(second))
    assert received[-1:] == [second]


@given(frames, st.data())
def test_a_garbled_frame_is_never_taken_for_one(frame: Frame, data: st.DataObject) -> None:
    line = bytearray(encode(frame))
    line[data.draw(st.integers(0, len(line) - 1))] ^= data.draw(st.integers(1, 255))
    assert Decoder().feed(bytes(line)) == []


class Scripted:
    """A line whose board answers by a script: for each question but chunks of inputs, what it sends."""

    name = "scripted"

    def __init__(self, *answers: bytes, greets: bool = True) -> None:
        self.greets = greets
        self.answers = list(answers)
        self.questions: list[tuple[int, int, int]] = []
        self.waiting = b""

    def write(self, data: bytes) -> None:
        for frame in Decoder().feed(data):
            if frame.type == FrameType.INFO and self.greets:
                self.waiting = encode(
                    Frame(FrameType.INFO_ANSWER, frame.sequence, struct.pack("<6I", VERSION, *[0] * 5))
                )
                continue
            self.questions.append((frame.type, frame.offset, len(frame.payload)))
            if frame.type != FrameType.INPUT:
                self.waiting = self.answers.pop(0) if self.answers else b""

    def read(self) -> bytes:
        data, self.waiting = self.waiting, b""
        return data


def output(sequence: int, outputs: bytes, status: int = 0, offset: int = 0, whole: int = 0, layers: int = 0) -> bytes:
    told = struct.pack("<iIII", status, 99, whole or len(outputs), layers)
    return encode(Frame(FrameType.OUTPUT, sequence, told + outputs, offset))


def error(sequence: int, code: BoardError, *offsets: int) -> bytes:
    return encode(Frame(FrameType.ERROR, sequence, struct.pack(f"<{1 + len(offsets)}I", code, *offsets)))


RUN, TRACE, INPUT, READ = FrameType.RUN, FrameType.TRACE, FrameType.INPUT, FrameType.READ


def test_a_question_is_asked_again_after_silence_and_after_a_corrupt_frame() -> None:
    line = Scripted(b"", error(2, BoardError.CORRUPT), output(2, b"good"))
    answer = Client(line).run(b"in")
    assert (answer.outputs, answer.cycles) == (b"good", 99)
    assert line.questions == [(INPUT, 0, 2), (RUN, 0, 0), (RUN, 0, 0), (RUN, 0, 0)]


def test_only_the_chunks_that_the_board_lacks_are_sent_again() -> None:
    line = Scripted(error(2, BoardError.MISSING, 256, 512), error(2, BoardError.MISSING, 512), output(2, b"good"))
    assert Client(line).run(bytes(600)).outputs == b"good"
    everything = [(INPUT, 0, 256), (INPUT, 256, 256), (INPUT, 512, 88), (RUN, 0, 0)]
    assert line.questions == [*everything, *everything[1:], *everything[2:]]


def test_a_board_that_always_lacks_a_chunk_ends_in_an_error() -> None:
    with pytest.raises(GgdqError, match="does not answer"):
        Client(Scripted(*[error(2, BoardError.MISSING, 256)] * 100)).run(bytes(300))


def test_outputs_that_were_lost_are_read_again_without_another_run() -> None:
    line = Scripted(output(2, b"ab", whole=6) + output(2, b"ef", offset=4, whole=6), output(2, b"cd", 0, 2, 6))
    assert Client(line).run(b"in").outputs == b"abcdef"
    assert line.questions == [(INPUT, 0, 2), (RUN, 0, 0), (READ, 2, 4)]


def test_a_late_answer_to_another_question_is_not_taken() -> None:
    line = Scripted(output(1, b"late") + output(2, b"mine"))
    assert Client(line).run(b"in").outputs == b"mine"


def layer(number: int, index: int, data: bytes) -> bytes:
    return encode(Frame(FrameType.LAYER, 2, struct.pack("<I", index) + data, number))


def test_layers_are_collected_and_one_that_was_lost_is_asked_for() -> None:
    whole = layer(0, 7, b"ma") + layer(1, 7, b"p") + layer(2, 9, b"x") + output(2, b"out", layers=3)
    line = Scripted(whole.replace(layer(1, 7, b"p"), b""), whole)
    assert Client(line).run(b"in", trace=True).layers == {7: b"map", 9: b"x"}
    assert line.questions == [(INPUT, 0, 2), (TRACE, 0, 0), (TRACE, 0, 0)]


def test_silence_for_good_is_an_error() -> None:
    with pytest.raises(GgdqError, match="does not answer"):
        Client(Scripted()).run(b"in")


def test_a_firmware_of_another_version_is_named() -> None:
    line = Scripted(encode(Frame(FrameType.INFO_ANSWER, 1, struct.pack("<6I", 3, 1, 1, 1, 1, 1))), greets=False)
    with pytest.raises(GgdqError, match="version 3 of the protocol"):
        Client(line).info()


@pytest.mark.parametrize(
    ("code", "text"), [(BoardError.LENGTH, "another size"), (BoardError.TYPE, "flash DIR --layers")]
)
def test_what_the_board_refuses_is_told(code: BoardError, text: str) -> None:
    with pytest.raises(GgdqError, match=text):
        Client(Scripted(error(2, code))).run(b"in")


def test_a_network_that_fails_is_told() -> None:
    with pytest.raises(GgdqError, match="status -1"):
        Client(Scripted(output(2, b"out", status=-1))).run(b"in")


@pytest.mark.parametrize("baud", [9600, 115200, 3_000_000])
def test_time_outs_grow_with_what_is_sent_and_shrink_with_the_baud_rate(
    monkeypatch: pytest.MonkeyPatch, baud: int
) -> None:
    line = SerialLine("loop://", baud, timeout_s=1.0)
    monkeypatch.setattr(serial_board.time, "monotonic", lambda: 100.0)
    seconds = []

    class Port:
        in_waiting = write_timeout = timeout = 0

        def write(self, data: bytes) -> None:
            seconds.append(self.write_timeout)

        def read(self, count: int) -> bytes:
            seconds.append(self.timeout)
            return b""

    line._serial = Port()  # type: ignore[assignment]
    line.write(bytes(300_000))
    line.write(bytes(212_000))
    line.read()
    assert seconds == pytest.approx([1 + 3e6 / baud, 1 + 5.12e6 / baud, 1 + 5.12e6 / baud])
