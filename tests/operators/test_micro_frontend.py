"""The audio front end of TensorFlow Lite Micro equals pymicro-features, whole and by pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from benchmarks.front_ends import differences, reference
from benchmarks.micro import interpreter
from benchmarks.speech import noises, speech

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend import MicroFrontend, attach_kept, parse
from ggdq_mcu.frontend.features import INPUT, SAMPLES
from ggdq_mcu.graph import Format
from ggdq_mcu.importers import load_kept
from network.test_kept_states import assert_sequences_are_equal


def test_features_are_equal_to_the_package() -> None:
    assert differences(noises(12, 4000)) == (12, 12 * 23 * 40, 0)
    count, total, different = differences(speech(2))
    assert (count, different) == (2, 0)
    assert total > 2 * 30 * 40


@pytest.mark.parametrize("value", [-32768, 32767, 1, 0])
def test_constant_samples_are_equal_to_the_package(value: int) -> None:
    square = np.where(np.arange(4000) // 40 % 2, value, -value - (value > 0)).clip(-32768, 32767)
    assert differences([np.full(4000, value, np.int16), square.astype(np.int16)])[2] == 0


def test_pieces_go_on_where_the_last_ended() -> None:
    (wave,) = speech(1)
    operator, output = MicroFrontend().operator(carried=True), Format(16, True, 10 / 256)
    wave = wave[: len(wave) // 320 * 320]
    constants = operator.lower({}, [SAMPLES], output, [(320,)])
    state, found = None, []
    for piece in wave.reshape(-1, 1, 320):
        features, state = operator.advance([piece], constants, [SAMPLES], output, state)
        found.append(features[0])
    wanted = reference(np.concatenate([np.zeros(320, np.int16), wave]))
    np.testing.assert_array_equal(np.concatenate(found), wanted)


@pytest.mark.parametrize("file", ["v2_okay_nabu", "v2_vad"])
def test_wake_words_from_samples_are_equal_to_the_interpreter(shared: Path, tmp_path: Path, file: str) -> None:
    path = shared / "models" / "zoo" / "microwakeword" / f"{file}.tflite"
    micro, state = interpreter(path), dict[str, object]()
    _, network = attach_kept(*load_kept(path), parse("micro-frontend"))
    wave = np.concatenate(list(speech(2)))[: 24 * 480]
    features = reference(np.concatenate([np.zeros(320, np.int16), wave])).reshape(-1, 3, 40)
    for piece, rows in zip(wave.reshape(-1, 1, 480), features, strict=True):
        (found,) = network.run({INPUT: piece}, state=state).values()
        eight = np.clip((rows * 256 + 333) // 666 - 128, -128, 127)  # as ESPHome quantizes them
        micro.set_input(eight.astype(np.int8).reshape(micro.get_input_details(0)["shape"]), 0)
        micro.invoke()
        np.testing.assert_array_equal(found.ravel(), micro.get_output(0).ravel())
    if file == "v2_vad":
        assert_sequences_are_equal(network, tmp_path, 6)


def test_levels_of_8_bits_are_those_of_whole_numbers() -> None:
    output = Format(8, True, 26 / 255, -128)
    constants = MicroFrontend(unit=26 / 255 * 256 / 666).operator().lower({}, [SAMPLES], output, [(480,)])
    v = np.arange(1421)
    found = (constants["multiplier"] * v + constants["offset"]) >> constants["shift"]
    np.testing.assert_array_equal(np.minimum(found, 127), np.minimum((v * 256 + 333) // 666 - 128, 127))


def test_what_does_not_fit_is_refused(shared: Path) -> None:
    graph, network = load_kept(shared / "models" / "zoo" / "mlperf_tiny" / "kws_ref_model.tflite")
    with pytest.raises(GgdqError, match="no frames of 40 features"):
        attach_kept(graph, network, parse("micro-frontend"))
    for text in ("mfc", "micro-frontend,band=3", "micro-frontend,bands=x", "micro-frontend,offset=nan"):
        with pytest.raises(GgdqError):
            parse(text)
    with pytest.raises(GgdqError, match="shorter than a window"):
        MicroFrontend()(np.zeros(479, np.int16))
    with pytest.raises(GgdqError, match="not within"):
        MicroFrontend()(np.full(480, 3.0))
