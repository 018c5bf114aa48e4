"""A factor and an offset for each channel, as rescaling and normalisation layers have them; passes fold it away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.sources import onnx_layout as layout
from ggdq_mcu.sources.keras import MAX_ELEMENTS, KerasLayer
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_LEAST_DEVIATION = 1e-7  # Keras' floor of the standard deviation


def from_keras_rescaling(layer: KerasLayer) -> list[Node]:
    """Rescaling, by numbers for the tensor or for each channel."""
    return [affine_node(layer, layer.channel_numbers("scale", 1.0), layer.channel_numbers("offset", 0.0))]


def from_keras_normalization(layer: KerasLayer) -> list[Node]:
    """Normalization of the last axis or of the whole tensor, adapted or with given mean and variance."""
    axis = layer.config.get("axis", -1)
    last = (-1, len(layer.shape), [-1], [len(layer.shape)])
    if axis not in (*last, None, []):
        raise layer.error(f"normalises axis {axis}, which is not supported", "use the last axis")
    if layer.config.get("mean") is not None:
        mean, variance = layer.channel_numbers("mean", 0.0), layer.channel_numbers("variance", 1.0)
    else:
        shape = (layer.shape[-1],) if axis in last else ()
        weights = layer.take(mean=shape, variance=shape, count=())
        mean, variance = weights["mean"], weights["variance"]
    deviation = np.maximum(np.sqrt(variance.astype(np.float64)), _LEAST_DEVIATION)
    if layer.flag("invert", False):
        return [affine_node(layer, deviation, mean)]
    return [affine_node(layer, 1 / deviation, -mean / deviation)]


def from_operation_negative(layer: KerasLayer) -> list[Node]:
    """Negative."""
    return [affine_node(layer, -1.0, 0.0)]


def from_tflite_negative(op: TFLiteOperator) -> list[Node]:
    """NEG."""
    return [affine_node(op, -1.0, 0.0)]


def channel_constant(op: TFLiteOperator, position: int) -> Array:
    """A constant that is one number, or one for each channel: () or (C,)."""
    value = op.constant(position)
    if value.size != prod(value.shape[-1:]):
        raise op.error(f"a constant of shape {value.shape} is not supported", "use one number, or one for each channel")
    return value.reshape(value.shape[-1:])


def affine_node(layer: Origin, scale: ArrayLike, offset: ArrayLike) -> Node:
    """The node of a layer or operator that is scale * x + offset, numbers or (C,)."""
    layer.source  # noqa: B018  one input only
    if not layer.shape:
        raise layer.error("needs at least one axis")
    channels = (layer.shape[-1],)
    values = {"scale": np.asarray(scale), "offset": np.asarray(offset)}
    for key, value in values.items():
        if value.shape not in ((), (1,), channels) or not np.all(np.isfinite(value)):
            raise layer.error(f"its {key} has shape {value.shape} for {channels[0]} channels, or is not finite")
    weights = {key: np.broadcast_to(value, channels).astype(np.float32) for key, value in values.items()}
    return Node(layer.name, Affine(), (layer.source,), weights)


def affine_nodes(op: TFLiteOperator, scale: ArrayLike, offset: ArrayLike) -> list[Node]:
    """scale * x + offset, constants that are broadcast to the input: by channel, or of a row of all elements."""
    values = [np.asarray(scale, np.float64), np.asarray(offset, np.float64)]
    if all(value.size == prod(value.shape[-1:]) for value in values):
        return [affine_node(op, *(value.reshape(value.shape[-1:]) for value in values))]
    shape, batch = op.shape, op.data.shape[: len(op.data.shape) - len(op.shape)]
    try:
        scale, offset = (np.broadcast_to(value, (*batch, *shape)).ravel() for value in values)
    except ValueError as error:
        raise op.error(f"a constant of shape {values[0].shape or values[1].shape} does not fit {shape}") from error
    if not all(np.all(np.isfinite(value)) for value in (scale, offset)):
        raise op.error("its constant is not finite")
    weights = {"scale": scale.astype(np.float32), "offset": offset.astype(np.float32)}
    nodes = op.chain([("row", Reshape((prod(shape),))), ("scaled", Affine()), ("shaped", Reshape(shape))])
    return [replace(node, weights=weights) if isinstance(node.operator, Affine) else node for node in nodes]


def from_onnx_negative(op: OnnxOperator) -> Tensor:
    """Neg."""
    return affine_tensor(op, op.tensor(), -1.0, 0.0)


def affine_tensor(op: OnnxOperator, tensor: Tensor, scale: ArrayLike, offset: ArrayLike) -> Tensor:
    """scale * x + offset; one of both a number, the other a constant that ONNX broadcasts to the tensor."""
    values = [np.asarray(scale, np.float64), np.asarray(offset, np.float64)]
    if not all(_by_channel(value, tensor.shape) for value in values):
        return _by_element(op, tensor, values)
    for index, value in enumerate(values):
        tensor, values[index] = op.by_channel(tensor, value)
    channels = (tensor.stored[-1],)
    if not all(np.all(np.isfinite(value)) for value in values):
        raise op.error("its constant is not finite")
    arrays = [np.broadcast_to(value, channels) for value in values]
    return tensor.of(op.add(Affine(), tensor.node, weights={"scale": arrays[0], "offset": arrays[1]}))


def _by_channel(value: Array, shape: Shape) -> bool:
    """Is a constant one number, or one for each position along one axis of a tensor of that shape?"""
    if value.size == 1:
        return True
    if value.ndim > len(shape):
        shape = (1,) * (value.ndim - len(shape)) + shape
    full = (1,) * (len(shape) - value.ndim) + value.shape
    varying = [axis for axis, size in enumerate(full) if size != 1]
    return len(varying) == 1 and value.size == shape[varying[0]]


def _by_element(op: OnnxOperator, tensor: Tensor, values: Sequence[Array]) -> Tensor:
    """scale * x + offset with constants of several axes: by channel of the elements in one row."""
    try:
        shape = np.broadcast_shapes(tensor.shape, *(value.shape for value in values))
    except ValueError as error:
        raise op.error(f"a constant does not fit {tensor.shape}") from error
    elements = prod(shape)
    if elements > MAX_ELEMENTS or not all(np.all(np.isfinite(value)) for value in values):
        raise op.error(f"its constant is not finite, or makes more than {MAX_ELEMENTS} elements")
    tensor = op.plain(tensor) if tensor.listed is not None else tensor
    tensor = op.reshaped(tensor, (1,) * (len(shape) - len(tensor.shape)) + tensor.shape)
    if tensor.shape != shape:
        order = layout.completed(tensor.order, [axis for axis, size in enumerate(shape) if size != 1])
        tensor = op.arranged(tensor, order)
        grown = replace(tensor, shape=shape)
        tensor = grown.of(op.view(Broadcast(grown.stored), tensor.node))
    arrays = [op.stored(value, tensor).ravel() for value in values]
    row = op.view(Reshape((elements,)), tensor.node)
    made = op.add(Affine(), row, weights={"scale": arrays[0], "offset": arrays[1]})
    return tensor.of(op.view(Reshape(tensor.stored), made))


@dataclass(frozen=True)
class Affine(Operator):
    """scale * x + offset by channel; weights ``scale`` and ``offset`` (C,). It has no integer meaning."""

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Rescaling": from_keras_rescaling,
        "Normalization": from_keras_normalization,
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Negative": from_operation_negative}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"NEG": from_tflite_negative}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Neg": from_onnx_negative}

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        dtype = inputs[0].dtype
        return self.clip(inputs[0] * weights["scale"].astype(dtype) + weights["offset"].astype(dtype))

    def affine(self, weights: Mapping[str, Array]) -> tuple[Array, Array]:
        """Scale and offset (C,) by channel, float64."""
        return np.asarray(weights["scale"], np.float64), np.asarray(weights["offset"], np.float64)
