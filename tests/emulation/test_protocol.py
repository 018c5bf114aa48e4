"""Frames are found whatever the line does to them, and a client gets its answer or says why not."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.emulation.protocol import BoardError, Client, Decoder, Frame, FrameType, encode
from ggdq_mcu.errors import GgdqError

frames = st.builds(Frame, st.integers(0, 255), st.integers(0, 255), st.binary(max_size=40))
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
    """A line whose board answers by a script: for each question, what it sends."""

    name = "scripted"

    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.questions: list[Frame] = []
        self.waiting = b""

    def write(self, data: bytes) -> None:
        self.questions += Decoder().feed(data)
        self.waiting = self.answers.pop(0) if self.answers else b""

    def read(self) -> bytes:
        data, self.waiting = self.waiting, b""
        return data


def output(sequence: int, outputs: bytes, status: int = 0) -> bytes:
    return encode(Frame(FrameType.OUTPUT, sequence, struct.pack("<iI", status, 99) + outputs))


def error(sequence: int, code: BoardError) -> bytes:
    return encode(Frame(FrameType.ERROR, sequence, struct.pack("<I", code)))


def test_a_question_is_asked_again_after_silence_and_after_a_corrupt_frame() -> None:
    line = Scripted(b"", error(2, BoardError.CORRUPT), output(3, b"good"))
    answer = Client(line).run(b"in")
    assert (answer.outputs, answer.cycles) == (b"good", 99)
    assert [(q.type, q.sequence, q.payload) for q in line.questions] == [(FrameType.RUN, i, b"in") for i in (1, 2, 3)]


def test_a_late_answer_to_another_question_is_not_taken() -> None:
    line = Scripted(output(0, b"late") + output(1, b"mine"))
    assert Client(line).run(b"in").outputs == b"mine"


def test_layers_are_collected() -> None:
    layer = encode(Frame(FrameType.LAYER, 1, struct.pack("<I", 7) + b"map"))
    assert Client(Scripted(layer + output(1, b"out"))).run(b"in", trace=True).layers == {7: b"map"}


def test_silence_for_good_is_an_error() -> None:
    with pytest.raises(GgdqError, match="does not answer"):
        Client(Scripted()).run(b"in")


@pytest.mark.parametrize(
    ("code", "text"), [(BoardError.LENGTH, "another size"), (BoardError.TYPE, "flash DIR --layers")]
)
def test_what_the_board_refuses_is_told(code: BoardError, text: str) -> None:
    with pytest.raises(GgdqError, match=text):
        Client(Scripted(error(1, code))).run(b"in")


def test_a_network_that_fails_is_told() -> None:
    with pytest.raises(GgdqError, match="status -1"):
        Client(Scripted(output(1, b"", status=-1))).run(b"in")
