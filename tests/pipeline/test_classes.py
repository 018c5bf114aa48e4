"""Classes are told by sample or by position, and labels are read the same way."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.describe.classes import boundary, classes_of, classes_of_labels
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape

OUTPUT = np.random.default_rng(0).normal(size=(5, 3, 4, 6))


def test_a_vector_has_one_class() -> None:
    assert classes_of(OUTPUT[:, 0, 0], 0).tolist() == OUTPUT[:, 0, 0].argmax(axis=1).tolist()


def test_positions_of_size_one_are_no_map() -> None:
    assert classes_of(OUTPUT[:, :1, :1], 0).tolist() == OUTPUT[:, 0, 0].argmax(axis=1).tolist()


def test_a_map_has_a_class_at_each_position() -> None:
    assert classes_of(OUTPUT, 0).reshape(5, 3, 4).tolist() == OUTPUT.argmax(axis=-1).tolist()


def test_one_value_is_on_a_side_of_the_boundary() -> None:
    values = np.array([[0.4], [0.6], [-1.0]])
    assert classes_of(values, 0.5).tolist() == [0, 1, 0]
    assert classes_of(values, 0.0).tolist() == [1, 1, 0]


@pytest.mark.parametrize(("function", "middle"), [("sigmoid", 0.5), ("hard_sigmoid", 0.5), ("tanh", 0), ("silu", 0)])
def test_the_boundary_is_the_middle_of_the_function(function: str, middle: float) -> None:
    nodes = (
        Node("input", Input((4, 1))),
        Node("function", Activation(function), ("input",)),
        Node("view", Reshape((2, 2, 1)), ("function",)),
    )
    assert boundary(Graph("g", nodes, ("view",)), "view") == middle


@pytest.mark.parametrize("shape", [(6,), (1, 1, 6)])
@pytest.mark.parametrize("as_given", [lambda y: y, lambda y: y[:, None], lambda y: np.eye(6)[y]])
def test_labels_of_samples(shape: tuple[int, ...], as_given: object) -> None:
    labels = np.array([0, 5, 2])
    assert classes_of_labels(as_given(labels), shape).tolist() == [0, 5, 2]  # type: ignore[operator]


@pytest.mark.parametrize("as_given", [lambda y: y, lambda y: y[..., None], lambda y: np.eye(6)[y]])
def test_labels_of_positions(as_given: object) -> None:
    labels = np.random.default_rng(1).integers(0, 6, (5, 3, 4))
    assert classes_of_labels(as_given(labels), (3, 4, 6)).tolist() == labels.reshape(5, 12).tolist()  # type: ignore[operator]


def test_labels_that_fit_neither_are_refused() -> None:
    with pytest.raises(GgdqError, match="5 labels a sample, the output has 12 positions of 6 values"):
        classes_of_labels(np.zeros((7, 5)), (3, 4, 6))
