"""build --streaming, verify, profile and inspect: a network that takes frame by frame, as a user sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ggdq_mcu import boards
from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.pipeline.quantized_project import Quantized, Target, build_quantized
from ggdq_mcu.planning.stream_plan import Streaming
from ggdq_mcu.projects import App
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

FRAMES, CHANNELS = 24, 8


def network() -> Graph:
    """Two causal convolutions with a shortcut, a strided one, the mean over time, scores."""
    generator = np.random.default_rng(5)

    def conv(dilation: int, stride: int = 1) -> tuple[Conv2D, dict[str, np.ndarray]]:
        padding = Padding(0, 0, 2 * dilation, 0)
        kernel = generator.normal(0, 0.3, (1, 3, CHANNELS, CHANNELS)).astype(np.float32)
        return Conv2D(Size(1, 3), CHANNELS, Size(1, stride), padding, Size(1, dilation), low=0.0), {"kernel": kernel}

    last = FRAMES // 2
    nodes = (
        Node("input", Input((FRAMES, CHANNELS))),
        Node("image", Reshape((1, FRAMES, CHANNELS)), ("input",)),
        Node("near", conv(1)[0], ("image",), conv(1)[1]),
        Node("far", conv(2)[0], ("near",), conv(2)[1]),
        Node("sum", Add(), ("near", "far")),
        Node("half", conv(1, 2)[0], ("sum",), conv(1)[1]),
        Node("mean", AveragePool2D(Size(1, last), Size(1, last)), ("half",)),
        Node("flat", Reshape((CHANNELS,)), ("mean",)),
        Node("scores", Dense(3), ("flat",), {"kernel": generator.normal(0, 0.5, (CHANNELS, 3)).astype(np.float32)}),
        Node("classes", Softmax(), ("scores",)),
    )
    return Graph("steps", nodes, ("classes",))


@pytest.fixture(scope="module")
def made() -> Quantized:
    graph = network()
    samples = np.random.default_rng(1).normal(0, 1, (20, FRAMES, CHANNELS)).astype(np.float32)
    data = DataSet({"input": samples})
    quantized = quantize(graph, calibrate(graph, data), Options(scheme="minmax"))
    return Quantized(graph, quantized, data.first(2), "minmax", "random samples", {})


def target(out: Path, board: str = "nucleo", **choices: Any) -> Target:
    return Target(boards.load(board), out, "steps", streaming=Streaming(), **choices)


@pytest.mark.parametrize(("board", "goal"), [("nucleo", "speed"), ("nucleo_g071rb", "balanced")])
def test_equal_to_whole_windows_on_reference_host_and_emulated_board(
    cli: Any, made: Quantized, tmp_path: Path, board: str, goal: str
) -> None:
    built = build_quantized(made, target(tmp_path / "p", board, goal=goal))
    assert built.description.stream is not None
    assert (built.description.stream.window, built.description.stream.hop) == (FRAMES, 2)
    outcome = cli("verify", tmp_path / "p", "--on", "reference,host,emulator", "--json")
    assert outcome.code == 0, outcome.err
    windows = (3 * FRAMES - FRAMES) // 2 + 1
    assert {place: (one["samples"], one["mismatches"]) for place, one in outcome.json["backends"].items()} == {
        place: (windows, 0) for place in ("reference", "host", "emulator")
    }
    if board == "nucleo":
        profile = cli("profile", tmp_path / "p", "--json").json
        assert profile["instructions"] < 0.7 * profile["stream"]["window"]
        assert profile["stream"]["frame"] == pytest.approx(profile["instructions"] / 2, abs=1)
        assert profile["stream"]["largest"] >= profile["stream"]["frame"]
        stream = cli("inspect", tmp_path / "p", "--json").json["stream"]
        assert stream["ring_bytes"] == sum(ring["bytes"] for ring in stream["rings"]) > FRAMES * CHANNELS
        assert "rings: " in cli("inspect", tmp_path / "p").out


def test_verify_finds_a_wrong_row(cli: Any, made: Quantized, tmp_path: Path) -> None:
    build_quantized(made, target(tmp_path / "p", "host", compile=False))
    source = tmp_path / "p/lib/ggdq_steps/src/ggdq_steps.c"
    text = source.read_text()
    assert "memmove(begin + first, moved + first, kept)" in text
    moved = text.replace("const moved = (uint8_t *)from + step", "const moved = (uint8_t *)from + step - 1")
    source.write_text(moved)
    outcome = cli("verify", tmp_path / "p", "--on", "host", "--json")
    assert outcome.code == 1
    assert outcome.json["backends"]["host"]["mismatches"] > 0


def test_rings_count_as_ram(made: Quantized, tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match=r"rings \d+"):
        build_quantized(made, target(tmp_path / "p", ram=2600))
    assert not (tmp_path / "p").exists()


def test_what_does_not_go_together_with_a_stream(cli: Any, made: Quantized, tmp_path: Path, examples: Path) -> None:
    with pytest.raises(GgdqError, match="--tune"):
        build_quantized(made, target(tmp_path / "p", tune=True))
    with pytest.raises(GgdqError, match="ad01"):
        build_quantized(made, target(tmp_path / "p", app=App("mlperf-tiny", "ad01")))
    outcome = cli("build", examples / "digits.h5", "--board", "host", "--hop", 2, "--out", tmp_path / "p")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "--streaming" in outcome.err
    assert not (tmp_path / "p").exists()
