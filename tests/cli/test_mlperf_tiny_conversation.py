"""The keyword spotter as the benchmark's device: all clips, over a pseudo terminal, on a board in QEMU."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlperf_runner import Runner

from ggdq_mcu.emulation.qemu_board import qemu_command
from ggdq_mcu.emulation.serial_board import SerialLine
from ggdq_mcu.pipeline.project import Project, open_project

FORMAT = "s8:0.5847029:83"  # of the benchmark's data set


@pytest.fixture(scope="module")
def project(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The keyword spotter, built for the benchmark's runner."""
    from ggdq_mcu.pipeline.build import Request, build
    from ggdq_mcu.projects import App

    request = Request(
        shared / "models" / "kws_ds_cnn.h5",
        "nucleo",
        tmp_path_factory.mktemp("mlperf") / "kws",
        shared / "data" / "kws_features.npz",
        calibration_samples=100,
        input_formats={"": FORMAT},
        app=App("mlperf-tiny", "kws01"),
    )
    return open_project(build(request).folder)


@pytest.mark.parametrize("count", [40, pytest.param(500, marks=pytest.mark.nightly)])
def test_clips_over_a_pseudo_terminal_give_the_outputs_of_the_reference(
    shared: Path, project: Project, count: int
) -> None:
    with np.load(shared / "data" / "kws_features.npz") as data:
        clips, labels = data["x"][:count], data["y"][:count]
    assert len(clips) == count
    network = project.network
    integers = network.quantize_inputs({network.inputs[0]: clips})[network.inputs[0]]
    assert np.array_equal(integers, np.clip(np.floor(clips / np.float64(0.5847029) + 0.5) + 83, -128, 127))
    (output,) = network.outputs
    expected = network.by_name[output].format.dequantize(network.run({network.inputs[0]: integers})[output])
    with in_qemu(project) as line:
        talk = Runner(line)
        assert talk.ask("profile")[1] == "m-model-[kws01]"
        answers = []
        for clip in integers:
            assert talk.load(clip.tobytes()) == ["m-load-done"]
            answers.append(talk.infer())
    assert np.max(np.abs(np.array(answers) - expected)) <= 1e-6
    accuracy = np.mean(np.argmax(answers, axis=1) == labels)
    assert accuracy == np.mean(np.argmax(expected, axis=1) == labels)
    assert accuracy > 0.85


@contextmanager
def in_qemu(project: Project) -> Iterator[SerialLine]:
    """A line to the firmware in QEMU, over a pseudo terminal, once it listens."""
    firmware = project.firmware()
    assert firmware is not None
    command = qemu_command(firmware.elf, project.board, "pty")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        match = re.search(r"/dev/\S+", process.stdout.readline())
        assert match
        knock = SerialLine(match[0], timeout_s=1)
        knock.write(b"%")
        while b"m-ready" not in knock.read():  # what came before the serial port was on is lost
            knock.write(b"%")
        while knock.read():
            pass
        line = SerialLine(match[0], timeout_s=60)
        knock.close()
        yield line
    finally:
        process.kill()
        process.communicate()


def test_the_firmware_for_the_runner_is_verified_as_any_other(cli: Any, shared: Path, project: Project) -> None:
    data = shared / "data" / "kws_features.npz"
    outcome = cli("verify", project.folder, "--on", "emulator", "--data", data, "--count", 3, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["backends"]["emulator"]["mismatches"] == 0
