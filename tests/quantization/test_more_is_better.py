"""More samples and more bits are not worse, on samples that calibration has not seen."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import inf

import numpy as np
import pytest
from small_networks import chain

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.pipeline.analyze import Measurement
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options

SIDE = 12


def of_weights(seed: int, shape: tuple[int, ...], spread: float) -> dict[str, np.ndarray]:
    """Random weights whose output channels differ in scale."""
    random = np.random.default_rng(seed)
    kernel = random.standard_t(5, shape) / np.sqrt(np.prod(shape[:-1])) * np.exp(random.normal(0, spread, shape[-1]))
    return {"kernel": kernel.astype(np.float32), "bias": random.normal(0, 0.2, shape[-1]).astype(np.float32)}


def convolutions() -> Graph:
    """Two rectified convolutions with channel steps between them, their mean over the image, and a dense layer."""
    size, padding = Size(3, 3), Padding(1, 1, 1, 1)
    return chain(
        Node("first", Conv2D(size, 12, Size(1, 1), padding, low=0.0), ("image",), of_weights(1, (3, 3, 2, 12), 0.8)),
        Node("second", Conv2D(size, 12, Size(1, 1), padding, low=0.0), ("first",), of_weights(2, (3, 3, 12, 12), 0.8)),
        Node("mean", AveragePool2D(Size(SIDE, SIDE), Size(1, 1)), ("second",)),
        Node("out", Dense(6), ("mean",), of_weights(3, (12, 6), 0.0)),
        shape=(SIDE, SIDE, 2),
    )


def dense(inputs: int) -> Graph:
    """Two dense layers, the first of many inputs."""
    return chain(
        Node("hidden", Dense(8, low=0.0), ("image",), of_weights(4, (inputs, 8), 0.0)),
        Node("out", Dense(4, low=-inf), ("hidden",), of_weights(5, (8, 4), 0.0)),
        shape=(inputs,),
    )


def samples(count: int, seed: int) -> np.ndarray:
    """Images (N, SIDE, SIDE, 2) of waves, loud and quiet ones, with noise."""
    random = np.random.default_rng(seed)
    place = np.arange(SIDE)
    slope, offset, loud = (random.uniform(*ends, (count, 1, 1, 2)) for ends in ((-1, 1), (0, 6.28), (0.3, 1.0)))
    waves = np.sin(slope * place[:, None, None] + place[:, None] / 3 + offset)
    return np.asarray(loud * waves + random.normal(0, 0.1, waves.shape), np.float32)


def measured(graph: Graph, x: np.ndarray) -> Measurement:
    """The network calibrated on the samples, and new ones to judge it by."""
    return Measurement(graph, calibrate(graph, DataSet({"image": x})), DataSet({"image": samples(100, 99)}))


def test_more_samples_are_not_worse() -> None:
    """Nested draws: the mean over two of them, in dB, within the half decibel that these leave open.

    With 10 samples a channel has too few values for a step of its own, with 60 it has one.
    """
    graph = convolutions()
    draws = [samples(60, seed) for seed in (0, 2)]
    quality = [np.mean([measured(graph, x[:n]).variant("", Options()).sqnr_db for x in draws]) for n in (10, 60)]
    assert all(more > fewer - 0.5 for fewer, more in pairwise(quality)), quality


@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize(
    "lengths", [((8, 8), (12, 12), (16, 16)), ((8, 4), (8, 8), (8, 16)), ((16, 4), (16, 8), (16, 16))]
)
def test_more_bits_are_not_worse(lengths: tuple[tuple[int, int], ...], sampled: bool) -> None:
    """Bits of feature maps and weights; without samples of its own a layer's weights are rounded to nearest.

    The many small weights of a layer of 512 inputs need sums of 64 bits, should 16 of them count.
    """
    graph = dense(64 if sampled else 512)
    x, others = (np.random.default_rng(seed).uniform(-1, 1, (40, *graph.shapes["image"])) for seed in (0, 1))
    calibration = calibrate(graph, DataSet({"image": x.astype(np.float32)}))
    if not sampled:
        calibration = replace(calibration, samples={})
    measurement = Measurement(graph, calibration, DataSet({"image": others.astype(np.float32)}))
    found = [measurement.variant("", Options(bits=b, weight_bits=w)).sqnr_db for b, w in lengths]
    assert found == sorted(found), found
    if not sampled and lengths[-1] == (16, 16):
        assert found[-1] > 75, found
