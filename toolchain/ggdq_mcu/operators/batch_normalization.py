"""Batch normalisation as Keras saves it; passes fold it away before anything is quantized."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.operators.layer_normalization import LayerNormalization
from ggdq_mcu.operators.shared.composition import Composition
from ggdq_mcu.sources.keras import KerasLayer

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """BatchNormalization over any one axis, with the statistics that training left; one but the last is moved there."""
    if not layer.shape:
        raise layer.error("needs at least one axis")
    axis = layer.axis("axis", len(layer.shape))
    channels = (layer.shape[axis],)
    gamma = {"gamma": channels} if layer.flag("scale", True) else {}
    beta = {"beta": channels} if layer.flag("center", True) else {}
    weights = layer.take(**gamma, **beta, mean=channels, variance=channels)
    operator = BatchNormalization(layer.number("epsilon", 0.001))
    if np.any(weights["variance"] + operator.epsilon <= 0):
        raise layer.error("variance + epsilon is not positive")
    if axis == len(layer.shape) - 1:
        return [layer.node(operator, weights)]
    parts = Composition(layer)
    layer.source  # noqa: B018  one input only
    return parts.done(parts.with_last(layer.inputs[0], [axis], lambda rows: parts.add(operator, rows, weights=weights)))


def from_keras_groups(layer: KerasLayer) -> list[Node]:
    """GroupNormalization over the last axis, in any number of groups; -1 is a group for each channel."""
    *place, channels = layer.shape
    if not place or layer.axis("axis", len(layer.shape)) != len(place):
        raise layer.error(f"normalises axis {layer.config.get('axis')}", "use the last axis")
    given = layer.config.get("groups", 32)
    groups = channels if given == -1 else layer.positive("groups", given)
    if channels % groups:
        raise layer.error(f"{groups} groups do not divide {channels} channels")
    gamma = {"gamma": (channels,)} if layer.flag("scale", True) else {}
    beta = {"beta": (channels,)} if layer.flag("center", True) else {}
    weights = layer.take(**gamma, **beta)
    parts, operator = Composition(layer), LayerNormalization(layer.number("epsilon", 0.001))
    apart = parts.reshape(layer.source, (prod(place), groups, channels // groups))
    normal = parts.with_last(apart, [0, 2], lambda rows: parts.add(operator, rows))
    whole = parts.reshape(normal, layer.shape)
    return parts.done(parts.affine(whole, weights.get("gamma", 1.0), weights.get("beta", 0.0)))


def from_onnx(op: OnnxOperator) -> Tensor:
    """BatchNormalization, with the statistics that training left."""
    if op.integer("training_mode", 0):
        raise op.error("is in training mode", "export the network in evaluation mode")
    tensor = op.tensor()
    if len(tensor.shape) < 2:
        raise op.error(f"its input {tensor.shape} has no axis of channels")
    names = {1: "gamma", 2: "beta", 3: "mean", 4: "variance"}
    weights = {key: op.weights(index, key, tensor.shape[1:2]) for index, key in names.items()}
    operator = BatchNormalization(op.number("epsilon", 1e-5))
    if np.any(weights["variance"] + operator.epsilon <= 0):
        raise op.error("variance + epsilon is not positive")
    tensor = op.last(tensor, 1)
    if tensor.listed is not None:
        weights = {key: value[tensor.places()] for key, value in weights.items()}
    return tensor.of(op.add(operator, tensor.node, weights=weights))


@dataclass(frozen=True)
class BatchNormalization(Operator):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta by channel; weights ``gamma``, ``beta``, ``mean``,
    ``variance`` (C,).

    ``gamma`` (1) and ``beta`` (0) may be missing. It has no integer meaning.
    """

    epsilon: float

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "BatchNormalization": from_keras,
        "GroupNormalization": from_keras_groups,
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"BatchNormalization": from_onnx}

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
