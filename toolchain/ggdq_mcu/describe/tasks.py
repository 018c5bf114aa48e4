"""Which kind of answer does a network give: classes, boxes and scores, its own input again, or values?

Accuracy and agreement are figures of classes; other answers are measured by RMSE and correlation.
"""

from __future__ import annotations

from enum import StrEnum
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.describe.classes import boundary
from ggdq_mcu.graph import Graph

Array = NDArray[Any]


class Task(StrEnum):
    """What an output means."""

    CLASSES = "classification"
    DETECTION = "detection"
    REGRESSION = "regression"
    RECONSTRUCTION = "reconstruction"


def task_of(graph: Graph, labels: Array | None = None) -> Task:
    """The task of a float network's first output, told by its last operator, its shape and, where given, its labels.

    Class numbers or one-hot labels make it a classification, also at each position of a map; other labels of the output's
    size a regression. Without labels: softmax or its logarithm, one sigmoid value, and a vector (logits) are classes; an
    output of the input's shape is a reconstruction; several outputs, or a map without softmax, are a detection; one value
    that no sigmoid ends is a regression.
    """
    name = graph.outputs[0]
    shape = graph.shapes[name]
    if _ends_in_softmax(graph, name) or (labels is not None and are_classes(labels, shape)):
        return Task.CLASSES
    if labels is not None and labels.size == len(labels) * prod(shape):
        return Task.REGRESSION
    if len(graph.inputs) == 1 and prod(shape) > 1 and prod(shape) == prod(graph.shapes[graph.inputs[0]]):
        return Task.RECONSTRUCTION
    if len(graph.outputs) > 1 or prod(shape[:-1]) > 1:
        return Task.DETECTION
    return Task.REGRESSION if prod(shape) == 1 and boundary(graph, name) == 0.0 else Task.CLASSES


def are_classes(labels: Array, shape: tuple[int, ...]) -> bool:
    """Are ``labels`` (N, ...) class numbers or one-hot, for an output of ``shape`` (..., C) or for each of its positions?"""
    if labels.dtype.kind not in "biuf" or labels.size == 0:
        return False
    values = np.asarray(labels, np.float64)
    if not ((values == np.floor(values)) & (values >= -1) & (values < 1 << 31)).all():
        return False
    positions, classes = prod(shape[:-1]), shape[-1] if shape else 1
    each = labels.size // len(labels)
    if each == positions:
        return classes > 1 or bool((values <= 1).all())  # beyond the last class: labels that count from 1
    if positions != 1 and each != positions * classes:
        return False
    rows = values.reshape(-1, each // positions)
    return bool(((rows == 0) | (rows == 1)).all() and (rows.sum(axis=1) == 1).all())


def _ends_in_softmax(graph: Graph, name: str) -> bool:
    node = graph.by_name[name]
    while node.operator.is_view and node.inputs:
        node = graph.by_name[node.inputs[0]]
    return node.operator.reads_wide
