"""What an output means is told by its last operator, its shape and its labels; each kind has its own figures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ggdq_mcu.data import DataSet
from ggdq_mcu.describe.evaluation import Evaluation, compare, fit_of
from ggdq_mcu.describe.tasks import Task, task_of
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

RANDOM = np.random.default_rng(0)
PLAIN = Options("minmax", adaptive_rounding=False, compensation=False, headroom=False, channel_steps=False)
CLASSES = RANDOM.integers(0, 3, 20)


def network(size: int, *last: Operator, map_: tuple[int, ...] = (), weight: float = 1.0, bias: float = 0.0) -> Graph:
    """From inputs (..., 7) by a dense layer of ``size`` values to what the ``last`` operators make of them."""
    kernel = (weight * np.random.default_rng(size).normal(size=(7, size))).astype(np.float32)
    nodes = [
        Node("x", Input((*map_, 7))),
        Node("dense", Dense(size), ("x",), {"kernel": kernel, "bias": np.full(size, bias, np.float32)}),
    ]
    for number, operator in enumerate(last):
        nodes.append(Node(f"last_{number}", operator, (nodes[-1].name,)))
    return Graph("g", tuple(nodes), (nodes[-1].name,))


@pytest.mark.parametrize(
    ("graph", "labels", "task"),
    [
        (network(3, Softmax()), None, Task.CLASSES),
        (network(3), None, Task.CLASSES),
        (network(3), CLASSES, Task.CLASSES),
        (network(3), np.eye(3)[CLASSES], Task.CLASSES),
        (network(3), RANDOM.normal(size=(20, 3)), Task.REGRESSION),
        (network(1), None, Task.REGRESSION),
        (network(1), CLASSES % 2, Task.CLASSES),
        (network(1), CLASSES, Task.REGRESSION),
        (network(1, Activation("sigmoid")), None, Task.CLASSES),
        (network(7), None, Task.RECONSTRUCTION),
        (network(7), CLASSES, Task.CLASSES),
        (network(3, map_=(4, 4)), None, Task.DETECTION),
        (network(3, map_=(4, 4)), RANDOM.integers(0, 3, (20, 4, 4)), Task.CLASSES),
        (network(3, Softmax(), map_=(4, 4)), None, Task.CLASSES),
    ],
)
def test_tasks(graph: Graph, labels: Any, task: Task) -> None:
    assert task_of(graph, labels) is task


def evaluated(graph: Graph, labels: Any = None) -> tuple[Evaluation, DataSet]:
    data = DataSet({"x": np.random.default_rng(1).normal(size=(40, 7)).astype(np.float32)}, labels)
    return compare(graph, quantize(graph, calibrate(graph, data), PLAIN), data), data


def test_a_regression_has_errors_and_no_classes() -> None:
    labels = RANDOM.normal(size=40)
    found, data = evaluated(network(1), labels)
    assert (found.task, found.agreement, found.accuracy, found.confusion) == ("regression", None, None, None)
    assert found.fit is not None
    assert found.fit.correlation is not None
    assert found.fit.correlation > 0.99
    assert found.float_error == fit_of(network(1).run(data.samples)["dense"], labels)
    assert found.error is not None
    assert abs(found.error.rmse - found.float_error.rmse) < 0.1


def test_a_reconstruction_is_compared_with_its_input() -> None:
    found, data = evaluated(network(7))
    assert (found.task, found.agreement) == ("reconstruction", None)
    assert found.float_error == fit_of(network(7).run(data.samples)["dense"], data.samples["x"])


def test_a_sigmoid_is_measured_by_its_logit() -> None:
    """All outputs are below a level of the sigmoid, 1/256, and its own ratio is 0 dB."""
    found, _ = evaluated(network(1, Activation("sigmoid"), weight=0.2, bias=-12.0))
    assert found.outputs[0].sqnr_db > 20
    assert found.outputs[0].sqnr_db == next(one.sqnr_db for one in found.layers if one.name == "dense")
    assert next(one.sqnr_db for one in found.layers if one.name == "last_0") < 3


def test_a_fit_is_rmse_and_correlation() -> None:
    x = np.array([1.0, 2.0, 4.0])
    found = fit_of(x, 2 * x)
    assert found.rmse == pytest.approx(np.sqrt(7), rel=1e-12)
    assert found.correlation == pytest.approx(1.0, rel=1e-12)
    assert fit_of(x, np.ones(3)).correlation is None
