"""Samples that contradict what training recorded, and samples that are odd by themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_networks import SAME, chain

from ggdq_mcu.data import DataSet, load_data
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import Statistics
from ggdq_mcu.graph.window import Size
from ggdq_mcu.importers import load
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.analyze import Measurement
from ggdq_mcu.pipeline.suspicions import suspicions
from ggdq_mcu.quantization.calibration import Calibration, calibrate, calibrate_without_data
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.plausible import misfit, odd_samples, with_statistics

SIDE = 12


def images(count: int, seed: int) -> np.ndarray:
    """Smooth images (N, SIDE, SIDE, 2) around 0.5, as bright or dark as they may be."""
    random = np.random.default_rng(seed)
    slope, offset = random.normal(0, 0.1, (count, 1, 1, 2)), random.uniform(0, 1, (count, 1, 1, 2))
    place = np.arange(SIDE) - SIDE / 2
    return (offset + slope * (place[:, None, None] + place[:, None])).astype(np.float32)


def trained() -> Graph:
    """Two convolutions whose output has the statistics that ``images`` give, as a folded BatchNormalization leaves it."""
    random = np.random.default_rng(5)
    nodes: list[Node] = []
    source, channels = "image", 2
    for name in ("first", "second"):
        kernel = random.normal(0, 1 / np.sqrt(9 * channels), (3, 3, channels, 8)).astype(np.float32)
        plain = Node(name, Conv2D(Size(3, 3), 8, Size(1, 1), SAME), (source,), {"kernel": kernel})
        value = chain(*nodes, plain, shape=(SIDE, SIDE, 2)).run({"image": images(300, 0)})[name].reshape(-1, 8)
        middle, deviation = value.mean(axis=0), value.std(axis=0)
        weights = {"kernel": kernel / deviation, "bias": 0.1 - middle / deviation}
        operator = Conv2D(Size(3, 3), 8, Size(1, 1), SAME, low=0.0)
        nodes.append(Node(name, operator, (source,), weights, Statistics(np.full(8, 0.1), np.ones(8))))
        source, channels = name, 8
    nodes.append(Node("mean", AveragePool2D(Size(SIDE, SIDE), Size(1, 1)), (source,)))
    nodes.append(Node("out", Dense(4), ("mean",), {"kernel": random.normal(size=(8, 4)).astype(np.float32)}))
    return chain(*nodes, shape=(SIDE, SIDE, 2))


def quality(graph: Graph, calibration: Calibration) -> float:
    return Measurement(graph, calibration, DataSet({"image": images(40, 9)})).variant("", Options()).sqnr_db


def noise() -> np.ndarray:
    return np.random.default_rng(2).normal(0, 2, (20, SIDE, SIDE, 2)).astype(np.float32)


@pytest.mark.parametrize("count", [1, 5, 20])
def test_real_samples_fit(count: int) -> None:
    graph = trained()
    calibration = calibrate(graph, DataSet({"image": images(count, 1)}))
    assert with_statistics(graph, calibration) == (calibration, "")


SCALES = {"times": lambda x: x * 255, "over": lambda x: x / 255, "centred": lambda x: x / 127.5 - 1}


@pytest.mark.parametrize("change", SCALES.values(), ids=SCALES)
def test_another_scale_does_not_fit(change) -> None:
    graph, x = trained(), images(20, 1)
    calibration = calibrate(graph, DataSet({"image": change(x).astype(np.float32)}))
    both, told = with_statistics(graph, calibration)
    assert "scaled" in told or "noise" in told
    found = misfit(graph, calibration.samples)
    assert found is not None and found > 5
    assert (misfit(graph, {"image": x}) or 0) < 0.5
    assert all(
        both.histograms[name].samples.sum() > seen.samples.sum() for name, seen in calibration.histograms.items()
    )


@pytest.mark.parametrize(
    ("change", "way_out"),
    [(lambda x: x * 255, "divide the samples by 255"), (lambda x: x / 255, "multiply the samples by 255")],
    ids=["times", "over"],
)
def test_statistics_tell_which_scale_fits(change, way_out: str) -> None:
    x = images(20, 1)
    (line,) = suspicions(trained(), DataSet({"image": change(x).astype(np.float32)}, source="data.npz"))
    assert way_out in line and "data.npz" in line
    assert suspicions(trained(), DataSet({"image": x})) == []


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("good", ""),
        ("nochan", ""),
        ("f_255", "divide the samples by 255"),
        ("u8_255", "divide the samples by 255"),
        ("zeros", "every value of input 'input_layer' is 0"),
        ("const", "every value of input 'input_layer' is 0.5"),
        ("test_1based", "subtract 1"),
        ("test_onehot", ""),
    ],
)
def test_shared_mix_ups_are_told(shared: Path, file: str, said: str) -> None:
    folder = shared / "cases" / "calibration_mixups"
    graph = optimize(load(folder / "m.keras"))
    lines = suspicions(graph, load_data(folder / f"{file}.npz", graph))
    assert len(lines) == bool(said), lines
    assert all(said in line for line in lines)


def test_noise_costs_no_more_than_calibration_without_data() -> None:
    graph = trained()
    calibration = calibrate(graph, DataSet({"image": noise()}))
    both, told = with_statistics(graph, calibration)
    assert "noise" in told
    free = quality(graph, calibrate_without_data(graph))
    assert quality(graph, both) > free - 1


def test_without_statistics_or_before_training_there_is_nothing_to_compare_with() -> None:
    graph = trained()
    untrained = [
        Node(n.name, n.operator, n.inputs, n.weights, Statistics(np.zeros(8), np.ones(8))) for n in graph.nodes[1:3]
    ]
    bare = chain(*untrained, shape=(SIDE, SIDE, 2))
    assert misfit(bare, {"image": images(3, 0)}) is None


def test_repeated_samples_count_once() -> None:
    graph, x = trained(), images(5, 1)
    once, more = (
        calibrate(graph, DataSet({"image": part}, np.arange(len(part)))) for part in (x, np.repeat(x, 7, axis=0))
    )
    assert more.seen == len(x)
    for name, histogram in once.histograms.items():
        np.testing.assert_array_equal(histogram.counts, more.histograms[name].counts)
    assert more.labels is not None
    np.testing.assert_array_equal(more.labels, np.arange(0, 35, 7))


@pytest.mark.parametrize(
    ("x", "labels", "said"),
    [
        (np.zeros((20, 3)), None, "every value of input 'image' is 0"),
        (np.full((20, 3), 0.5), None, "every value of input 'image' is 0.5"),
        (np.tile([0.0, 1.0, 2.0], (20, 1)), None, "all 20 samples of input 'image' are the same"),
        (np.repeat(np.eye(10), 2, axis=0), None, "10 of 20 samples repeat others"),
        (np.eye(20), np.ones(20), "all 20 samples have the same label"),
        (np.eye(20), np.arange(20), ""),
        (np.eye(3), np.ones(3), ""),
    ],
)
def test_odd_samples_are_told(x: np.ndarray, labels: np.ndarray | None, said: str) -> None:
    lines = odd_samples(DataSet({"image": x.astype(np.float32)}, labels, "data.npz"))
    assert len(lines) == bool(said)
    assert all(said in line and "data.npz" in line for line in lines)
