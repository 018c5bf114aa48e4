"""Batch normalisation as Keras saves it; passes fold it away before anything is quantized."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._keras import KerasLayer
from ggdq_mcu.operators._operator import Operator, Shape

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """BatchNormalization over the last axis, with the statistics that training left."""
    if not layer.shape:
        raise layer.error("needs at least one axis")
    axis = layer.config.get("axis", -1)
    if axis not in (-1, len(layer.shape), [-1], [len(layer.shape)]):
        raise layer.error(f"normalises axis {axis}, which is not supported", "use the last axis")
    channels = (layer.shape[-1],)
    gamma = {"gamma": channels} if layer.flag("scale", True) else {}
    beta = {"beta": channels} if layer.flag("center", True) else {}
    weights = layer.take(**gamma, **beta, mean=channels, variance=channels)
    operator = BatchNormalization(layer.number("epsilon", 0.001))
    if np.any(weights["variance"] + operator.epsilon <= 0):
        raise layer.error("variance + epsilon is not positive")
    return [layer.node(operator, weights)]


@dataclass(frozen=True)
class BatchNormalization(Operator):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta by channel; weights ``gamma``, ``beta``, ``mean``,
    ``variance`` (C,).

    ``gamma`` (1) and ``beta`` (0) may be missing. It has no integer meaning.
    """

    epsilon: float

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"BatchNormalization": from_keras}

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        scale, offset = self.affine(weights)
        dtype = inputs[0].dtype
        return self.clip(inputs[0] * scale.astype(dtype) + offset.astype(dtype))

    def affine(self, weights: Mapping[str, Array]) -> tuple[Array, Array]:
        """Scale and offset (C,) by channel, float64."""
        variance = np.asarray(weights["variance"], np.float64)
        scale = weights.get("gamma", np.ones_like(variance)) / np.sqrt(variance + self.epsilon)
        return scale, weights.get("beta", np.zeros_like(variance)) - weights["mean"] * scale

    def statistics(self, weights: Mapping[str, Array]) -> tuple[Array, Array]:
        """Mean and standard deviation (C,) of the output over the training data."""
        scale, _ = self.affine(weights)
        variance = np.asarray(weights["variance"], np.float64)
        return np.asarray(weights.get("beta", np.zeros_like(variance)), np.float64), np.abs(scale) * np.sqrt(variance)
