"""Networks that take sound: pushed in pieces of any size they say what the reference says, and recordings what was in them."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import numpy as np
import pytest
from benchmarks.speech import noises, speech
from click.testing import CliRunner

from ggdq_mcu import boards
from ggdq_mcu.cli import group
from ggdq_mcu.data import DataSet
from ggdq_mcu.emulation.recording import Listener
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend import LogMel, MicroFrontend, attach
from ggdq_mcu.frontend.features import INPUT, SAMPLES
from ggdq_mcu.graph import Format, Graph, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.step import Stream
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.pipeline.quantized_project import Quantized, Target, build_quantized
from ggdq_mcu.pipeline.run import run
from ggdq_mcu.planning.stream_plan import Streaming
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.wav import read_wav

FEATURES = LogMel(window=200, step=100, bands=8)


def written(path: Path, samples: np.ndarray, rate: int = 16000, channels: int = 1) -> Path:
    """The samples as a recording."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def streamed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose stream tells loud from quiet: log-mel features of 4 frames, a dense layer."""
    nodes = (
        Node("frames", Input((4, 8))),
        Node("flat", Reshape((32,)), ("frames",)),
        Node("scores", Dense(2), ("flat",), {"kernel": np.array([[-0.05, 0.05]] * 32, np.float32)}),
        Node("classes", Softmax(), ("scores",)),
    )
    graph = attach(Graph("loud", nodes, ("classes",)), FEATURES)
    waves = np.stack([wave[:500, None] for wave in noises(30, 500)])
    data = DataSet({INPUT: waves})
    network = quantize(graph, calibrate(graph, data), Options())
    folder = tmp_path_factory.mktemp("run") / "loud"
    target = Target(boards.load("nucleo"), folder, "loud", compile=False, streaming=Streaming(None))
    build_quantized(Quantized(graph, network, data.first(3), "ggd", "", {}), target)
    return folder


@pytest.fixture(scope="module")
def stateful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that gives the features of two frames, and goes on where it was."""
    operator, output = MicroFrontend(bands=5).operator(carried=True), Format(8, True, 0.1, -128)
    constants = operator.lower({}, [SAMPLES], output, [(320,)])
    nodes = (Node(INPUT, Input((320,), "int16")), Node("features", operator, (INPUT,)))
    network = (
        QuantizedNode(INPUT, nodes[0].operator, (), SAMPLES),
        QuantizedNode("features", operator, (INPUT,), output, constants),
    )
    folder = tmp_path_factory.mktemp("run") / "micro"
    graphs = Graph("micro", nodes, ("features",)), QuantizedGraph("micro", network, ("features",))
    target = Target(boards.load("nucleo"), folder, "micro", compile=False)
    build_quantized(Quantized(*graphs, None, "tflite", "", {}), target)
    return folder


def test_a_stream_takes_sound_as_the_reference_takes_samples(streamed: Path) -> None:
    (wave,) = speech(1)
    wave, step = wave[:3000], open_project(streamed).step
    assert step is not None
    reference, wanted = Stream(step), {}
    for place, sample in enumerate(wave, 1):
        outputs = reference.push({INPUT: np.array([sample])})
        if outputs is not None:
            wanted[place] = outputs["classes"]
    with Listener(streamed) as listener:
        found = {place: one for place, (one,) in listener.listen(wave)}
        assert found.keys() == wanted.keys()
        assert len(found) == 26
        for place, one in found.items():
            np.testing.assert_array_equal(one, wanted[place])
        again = {place: one for place, (one,) in listener.listen(wave)}
        assert all((again[place] == one).all() for place, one in found.items())


def test_a_network_with_a_state_takes_sound(stateful: Path) -> None:
    network = open_project(stateful).network
    (wave,) = noises(1, 320 * 5 + 77)
    state: dict[str, object] = {}
    with Listener(stateful) as listener:
        found = list(listener.listen(wave))
    assert [place for place, _ in found] == [320, 640, 960, 1280, 1600]
    for place, (one,) in found:
        wanted = network.run({INPUT: wave[None, place - 320 : place]}, state=state)["features"]
        np.testing.assert_array_equal(one, wanted.ravel())


def test_recordings_in_folders_give_confusion_and_false_alarms(streamed: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for name, level in (("quiet", 1), ("loud", 20000)):
        for number in range(2):
            written(tmp_path / name / f"{number}.wav", random.normal(0, level, 4000).clip(-32768, 32767))
    written(tmp_path / "quiet" / "wrong.wav", random.normal(0, 9000, 4000))
    found = run(streamed, tmp_path, ["quiet", "loud"], 0.5, 0.1)
    assert found.confusion == {"quiet": {"quiet": 2, "loud": 1}, "loud": {"loud": 2}}
    assert found.misses == 1
    assert found.false_alarms_per_hour == pytest.approx(len(found.recordings[-1].decisions) / (5 * 0.25 / 3600))
    first = found.recordings[0]
    assert (first.seconds, first.outputs, first.best) == (0.25, 36, "loud")
    assert np.diff([one.seconds for one in first.decisions]).min() >= 0.1
    shown = CliRunner().invoke(group, ["run", str(streamed), "--wav", str(tmp_path), "--json"])
    assert json.loads(shown.output)["misses"] == 0  # without labels no folder is one of the classes
    text = CliRunner().invoke(group, ["run", str(streamed), "--wav", str(tmp_path), "--labels", "quiet,loud"]).output
    assert "misses: 1; false alarms an hour" in text


def test_what_is_no_recording_is_refused(streamed: Path, tmp_path: Path) -> None:
    silence = np.zeros(100, np.int16)
    for path, what in (
        (written(tmp_path / "rate.wav", silence, 8000), "at 8000 Hz"),
        (written(tmp_path / "two.wav", silence, channels=2), "2 channels"),
        (written(tmp_path / "empty.wav", silence[:0]), "no sample"),
        (tmp_path / "none.wav", "no such file"),
    ):
        with pytest.raises(GgdqError, match=what):
            read_wav(path, 16000)
    (tmp_path / "text.wav").write_text("RIFF and nothing")
    with pytest.raises(GgdqError, match="not a readable"):
        read_wav(tmp_path / "text.wav", 16000)
    with pytest.raises(GgdqError, match="3 labels for 2 classes"):
        run(streamed, tmp_path, ["a", "b", "c"])
    (tmp_path / "folder").mkdir()
    with pytest.raises(GgdqError, match=r"no \.wav"):
        run(streamed, tmp_path / "folder")
