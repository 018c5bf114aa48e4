"""Samples in another scale or layout than in training, and labels that count otherwise, are told by their labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ggdq_mcu.data import DataSet
from ggdq_mcu.describe.classes import classes_of
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.pipeline.suspicions import suspicions

CLASSES = 5
Change = Callable[[Any], Any]


def network(offset: float = 0.0, scale: float = 1.0) -> Graph:
    """A network for images of 6x6x3 with values around ``offset``, ``scale`` wide: half of its sums are negative."""
    random = np.random.default_rng(3)
    first, last = random.normal(size=(108, 40)) / scale, random.normal(size=(40, CLASSES))
    bias = -(offset + scale / 2) * first.sum(axis=0)
    nodes = (
        Node("image", Input((6, 6, 3))),
        Node("flat", Reshape((108,)), ("image",)),
        Node("hidden", Dense(40), ("flat",), {"kernel": first.astype(np.float32), "bias": bias.astype(np.float32)}),
        Node("bent", Activation("elu", 1.0), ("hidden",)),
        Node("scores", Dense(CLASSES), ("bent",), {"kernel": last.astype(np.float32)}),
    )
    return Graph("g", nodes, ("scores",))


def samples(graph: Graph, offset: float = 0.0, scale: float = 1.0) -> tuple[Any, Any]:
    """100 images, and the classes that the network gives, a tenth of them wrong."""
    random = np.random.default_rng(4)
    x = (offset + scale * random.uniform(size=(100, 6, 6, 3))).astype(np.float32)
    y = classes_of(graph.run({"image": x})["scores"], 0)
    y[::10] = (y[::10] + 1) % CLASSES
    return x, y


def told(graph: Graph, x: Any, y: Any) -> list[str]:
    return suspicions(graph, DataSet({"image": x}, y, "data.npz"))


def test_good_samples_are_not_suspected() -> None:
    graph = network()
    x, y = samples(graph)
    assert told(graph, x, y) == []
    assert told(graph, x, np.eye(CLASSES)[y]) == []
    assert suspicions(graph, DataSet({"image": x / 255})) == suspicions(graph, None) == []  # nobody says what is right


@pytest.mark.parametrize(
    ("trained", "changed", "way_out"),
    [
        ((0, 1), lambda x: x * 255, "divide the samples by 255"),
        ((0, 255), lambda x: x / 255, "multiply the samples by 255"),
        ((-1, 2), lambda x: (x + 1) * 127.5, "x / 127.5 - 1"),
        ((0, 255), lambda x: x / 127.5 - 1, "(x + 1) * 127.5"),
        ((-1, 2), lambda x: (x + 1) / 2, "2 * x - 1"),
        ((-128, 256), lambda x: x + 128, "subtract 128"),
        ((0, 1), lambda x: 1 - x, "invert the samples: 1 - x"),
        ((0, 1), lambda x: x[..., ::-1], "reverse the order of the channels"),
        ((0, 1), lambda x: np.moveaxis(x, -1, 1).reshape(x.shape), "x.reshape(N, C, H, W).transpose(0, 2, 3, 1)"),
        ((0, 1), lambda x: x.swapaxes(1, 2), "x.swapaxes(1, 2)"),
        ((0, 255), lambda x: x[..., ::-1] / 255, "multiply the samples by 255 (the network takes 0..255); and reverse"),
    ],
)
def test_the_change_that_fits_is_named(trained: tuple[float, float], changed: Change, way_out: str) -> None:
    graph = network(*trained)
    x, y = samples(graph, *trained)
    (line,) = told(graph, changed(x).astype(np.float32), y)
    assert way_out in line
    assert "would be on 90.0%" in line
    assert "data.npz" in line


@pytest.mark.parametrize(("moved", "way_out"), [(1, "1 too high: subtract 1"), (-1, "1 too low: add 1")])
def test_labels_off_by_one(moved: int, way_out: str) -> None:
    graph = network()
    x, y = samples(graph)
    (line,) = told(graph, x, y + moved)
    assert way_out in line
    assert "on 90.0% if" in line


def test_what_nothing_explains_is_said_to_be_chance() -> None:
    graph = network()
    x, y = samples(graph)
    (line,) = told(graph, x, np.roll(y, 7))
    assert "no better than chance" in line


def test_few_samples_and_regressions_are_not_judged() -> None:
    graph = network()
    x, y = samples(graph)
    assert told(graph, x[:9] * 255, y[:9]) == []
    assert told(graph, x * 255, graph.run({"image": x})["scores"]) == []
