"""The benchmark's own networks as its devices, each over a pseudo terminal: ad01, vww01, the streaming wake word."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mlperf_runner import Runner
from terminal import line_to

from ggdq_mcu import boards
from ggdq_mcu.data import load_data
from ggdq_mcu.emulation.host import compile_host
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.pipeline.build import keep
from ggdq_mcu.pipeline.quantized_project import Target, build_quantized
from ggdq_mcu.planning.stream_plan import Streaming
from ggdq_mcu.projects import App


@contextmanager
def device(folder: Path) -> Iterator[Runner]:
    """The conversation with a project's firmware on this computer."""
    compile_host(folder, folder / "program")
    with line_to([str(folder / "program")], 921_600) as line:
        talk = Runner(line)
        talk.greeting()
        yield talk


def kept(shared: Path, file: str, folder: Path, app: App) -> QuantizedGraph:
    """Writes the project of a network that keeps its quantization; its integer reference."""
    made = keep(shared / "models" / "zoo" / "mlperf_tiny" / file)
    build_quantized(made, Target(boards.load("host"), folder, compile=False, app=app))
    return made.network


def test_windows_of_ad01_give_their_mean_squared_error(shared: Path, tmp_path: Path) -> None:
    network = kept(shared, "ad01_int8.tflite", tmp_path / "p", App("mlperf-tiny", "ad01", baud=921_600))
    (name,), (output,) = network.inputs, network.outputs
    windows = np.random.default_rng(3).normal(-20, 12, (3, 640)).astype("<f4")
    integers = network.quantize_inputs({name: windows})
    real = network.by_name[output].format.dequantize(network.run(integers)[output])
    with device(tmp_path / "p") as talk:
        assert talk.ask("profile")[1] == "m-model-[ad01]"
        for window, expected in zip(windows, real, strict=True):
            assert talk.load(window.tobytes()) == ["m-load-done"]
            (score,) = talk.infer()
            # Differences have ten bits behind the point.
            assert score == pytest.approx(np.mean((window - expected.ravel()) ** 2), rel=1e-3)


def test_images_of_vww01_give_the_scores_of_the_reference(shared: Path, tmp_path: Path) -> None:
    network = kept(shared, "vww_96_int8.tflite", tmp_path / "p", App("mlperf-tiny", "vww01"))
    (name,), (output,) = network.inputs, network.outputs
    images = np.random.default_rng(4).integers(-128, 128, (1, 96, 96, 3)).astype(np.int8)
    real = network.by_name[output].format.dequantize(network.run({name: images})[output])
    with device(tmp_path / "p") as talk:
        for image, expected in zip(images, real, strict=True):
            assert talk.ask("db load 27648") == ["m-[Expecting 27648 bytes]"]
            assert talk.ask("infer") == ["e-[Input db has 0 elemented, expected 27648]"]
            assert talk.load(image.tobytes()) == ["m-load-done"]
            assert np.allclose(talk.infer(), expected.ravel(), rtol=0, atol=1e-6)


def test_frames_of_the_wake_word_are_taken_between_start_and_stop(shared: Path, tmp_path: Path) -> None:
    from ggdq_mcu.pipeline.build import Request, build
    from ggdq_mcu.pipeline.project import open_project

    model = shared / "models" / "zoo" / "mlperf_tiny" / "str_ww_ref_model.h5"
    request = Request(model, "host", tmp_path / "p", shared / "data" / "strww.npz", compile=False)
    request = replace(request, calibration_samples=10, app=App("mlperf-tiny", "sww01"), streaming=Streaming())
    project = open_project(build(request).folder)
    network, (name,), (output,) = project.network, project.network.inputs, project.network.outputs
    data = load_data(shared / "data" / "strww.npz", project.float_network).samples[name][:2]
    integers = network.quantize_inputs({name: data})[name]
    real = network.by_name[output].format.dequantize(network.run({name: integers})[output]).reshape(2, -1)
    with device(project.folder) as talk:
        for window, expected in zip(integers, real, strict=True):
            assert talk.ask("stop") == ["target activations:"]
            assert talk.ask("start") == ["m-[Streaming]"]
            for frame in window.reshape(len(window), -1):
                talk.load(frame.tobytes())
                told = talk.ask("infer")
            scores = [float(text) for text in told[-1].removeprefix("m-results-[").rstrip("]").split(",")]
            assert np.allclose(scores, expected, rtol=0, atol=1e-6)
            heading, values = talk.ask("stop")
            assert heading == "target activations:"
            assert float(values) == scores[0]
