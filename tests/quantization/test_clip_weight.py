"""What clipping weighs at the outputs, as measured."""

from __future__ import annotations

import numpy as np
from small_networks import chain

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.quantization.calibration import Calibration, calibrate
from ggdq_mcu.quantization.clip_weight import clip_weight

SIDE = 32
RECTIFIED = Node("rectified", Clip(low=0.0), ("image",))
LARGEST = Node("largest", MaxPool2D(Size(SIDE, SIDE), Size(1, 1)), ("rectified",))


def images(count: int = 60) -> np.ndarray:
    """Images (N, SIDE, SIDE, 1) of values whose largest are rare."""
    return np.random.default_rng(0).laplace(size=(count, SIDE, SIDE, 1)).astype(np.float32)


def calibrated(*nodes: Node) -> tuple[Graph, Calibration]:
    graph = chain(*nodes, shape=(SIDE, SIDE, 1))
    return graph, calibrate(graph, DataSet({"image": images()}))


def test_clipping_weighs_most_where_only_the_largest_values_are_read() -> None:
    assert clip_weight(*calibrated(RECTIFIED, LARGEST)) == 8.0


def test_clipping_weighs_like_rounding_where_nothing_follows() -> None:
    assert clip_weight(*calibrated(RECTIFIED)) == 1.0


def test_nothing_is_measured_without_samples() -> None:
    graph, calibration = calibrated(RECTIFIED)
    assert clip_weight(graph, Calibration(calibration.histograms)) == 1.0
