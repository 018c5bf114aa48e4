"""The app on this computer: right outputs, every layer, and no bad byte that harms it (ASan, UBSan)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import networks
import numpy as np
import pytest
from firmware_fixtures import Built, samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu import boards, projects
from ggdq_mcu.emulation.host import SANITIZERS, Host, compile_host
from ggdq_mcu.emulation.pipe import Pipe
from ggdq_mcu.emulation.protocol import Decoder, Frame, FrameType, encode
from ggdq_mcu.errors import GgdqError

GOOD = encode(Frame(FrameType.INFO, 77))
X, (Y,) = samples(1)[0]
RUN = encode(Frame(FrameType.INPUT, 5, X[0].tobytes() + b"\0")) + encode(Frame(FrameType.RUN, 5))


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    projects.write(folder / "project", boards.load("host"), networks.tiny())
    compile_host(folder / "project", folder / "program", ("-O1", *SANITIZERS))
    return folder / "program"


@pytest.fixture(scope="module")
def project(program: Path) -> Iterator[Path]:
    yield program.parent / "project"


def say(program: Path, line: bytes) -> bytes:
    """What the app says to these bytes and the end of its input; GgdqError where it does not end well."""
    pipe = Pipe([str(program)], "host")
    pipe.write(line)
    return pipe.finish()


def test_outputs_and_layers_are_those_of_the_network(project: Path) -> None:
    with Host(project) as host:
        some = samples(20)
        assert all(
            np.array_equal(out, y) for (out,), (_, (y,)) in zip(host.run([x for x, _ in some]), some, strict=True)
        )
        layers = networks.tiny_layers(X[0])
        assert host.trace(X).layers == {1: layers[0].tobytes(), 2: layers[1].tobytes()}


def test_several_inputs_and_outputs_keep_their_places(tmp_path: Path) -> None:
    projects.write(tmp_path, boards.load("host"), networks.pair())
    a, b = np.array([1, -2, 3, -128, 127], np.int8), np.array([-32768, 7, 32767], np.int16)
    with Host(tmp_path) as host:
        ((first, second),) = host.run([(a, b)])
    assert first.tolist() == [-16383, 1, 16386]
    assert second.tolist() == [129, 126, 131, 0, 255]


def test_a_project_for_a_board_runs_on_the_host_too(built: Callable[..., Built]) -> None:
    with Host(built("nucleo").folder) as host:
        assert np.array_equal(host.run([X])[0][0], Y)


def test_a_warning_of_the_compiler_is_an_error(tmp_path: Path) -> None:
    files = networks.tiny()
    source = "lib/ggdq_tiny/src/ggdq_tiny.c"
    files[source] = str(files[source]).replace("(uint8_t)(sum < 0", "(sum < 0")
    projects.write(tmp_path, boards.load("host"), files)
    with pytest.raises(GgdqError, match=r"ggdq_tiny\.c:.*conversion"):
        Host(tmp_path)


def test_a_crash_of_the_network_is_told_with_its_cause(tmp_path: Path) -> None:
    files = networks.tiny()
    source = "lib/ggdq_tiny/src/ggdq_tiny.c"
    files[source] = str(files[source]).replace("i < 7", "i < 700")
    projects.write(tmp_path, boards.load("host"), files)
    with Host(tmp_path, sanitize=True) as host, pytest.raises(GgdqError, match="the network crashed: "):
        host.run([X])


def test_a_person_gets_a_greeting_help_and_outputs(program: Path) -> None:
    text = say(program, b"help\r\nrun\nnonsense that is far too long\ninfo\n").decode()
    zeros = networks.tiny_layers(np.zeros(7, np.int8))[1]
    assert text.count('ggdq-mcu: network "tiny", input 8 bytes, output 4 bytes') == 2
    assert "run: the network on the last input" in text
    assert f"outputs: {' '.join(map(str, zeros))}\r\n" in text


def test_run_in_text_repeats_the_last_input(program: Path) -> None:
    assert f"outputs: {' '.join(map(str, Y))}\r\n".encode() in say(program, RUN + b"run\n")


def test_an_input_of_the_wrong_length_is_refused(program: Path) -> None:
    for length in (0, 7, 9, 60000):
        line = encode(Frame(FrameType.INPUT, 9, bytes(length)))
        (answer,) = Decoder().feed(say(program, line))
        assert (answer.type, answer.sequence, answer.payload) == (FrameType.ERROR, 9, b"\x02\0\0\0")


def test_an_unknown_request_is_refused(program: Path) -> None:
    (answer,) = Decoder().feed(say(program, encode(Frame(0x44, 9))))
    assert (answer.type, answer.payload) == (FrameType.ERROR, b"\x03\0\0\0")


@pytest.mark.parametrize("place", range(len(RUN)))
def test_the_frame_behind_one_that_lost_a_byte_is_answered(program: Path, place: int) -> None:
    answers = Decoder().feed(say(program, RUN[:place] + RUN[place + 1 :] + GOOD))
    assert (answers[-1].type, answers[-1].sequence) == (FrameType.INFO_ANSWER, 77)


spoiled = st.one_of(
    st.binary(max_size=60),
    st.builds(lambda line, i: line[: i % len(line)] + line[i % len(line) + 1 :], st.just(RUN), st.integers(0, 99)),
    st.builds(
        lambda line, i: line[: i % len(line)] + line[i % len(line) :][:1] + line[i % len(line) :],
        st.just(RUN),
        st.integers(0, 99),
    ),
    st.builds(
        lambda line, i, x: bytes(b ^ x * (j == i % len(line)) for j, b in enumerate(line)),
        st.just(RUN),
        st.integers(0, 99),
        st.integers(1, 255),
    ),
    st.builds(lambda kind, payload: encode(Frame(kind, 1, payload)), st.integers(0, 255), st.binary(max_size=40)),
    st.just(b"\xa5\x5a"),
)


@settings(max_examples=drawn(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(spoiled, max_size=30))
def test_no_bytes_harm_the_app_and_it_answers_afterwards(program: Path, pieces: list[bytes]) -> None:
    # What was left unfinished waits for at most one frame: the padding completes it.
    answers = Decoder().feed(say(program, b"".join(pieces) + bytes(30) + GOOD))
    assert answers[-1].type == FrameType.INFO_ANSWER
    assert answers[-1].sequence == 77
