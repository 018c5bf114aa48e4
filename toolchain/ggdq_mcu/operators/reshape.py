"""Another shape for the same values: Reshape and Flatten."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """Reshape; one size may be -1, which stands for all that is left."""
    sizes = layer.integers("target_shape", -1)
    known = prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or 0 in sizes or prod(layer.shape) % known:
        raise layer.error(f"cannot reshape {layer.shape} to {tuple(sizes)}")
    return [layer.node(Reshape(tuple(prod(layer.shape) // known if size == -1 else size for size in sizes)))]


def from_keras_flatten(layer: KerasLayer) -> list[Node]:
    """Flatten, row by row, channels last."""
    if layer.text("data_format", "channels_last") != "channels_last":
        raise layer.error("data_format channels_first is not supported", "train or convert it with channels_last")
    return [layer.node(Reshape((prod(layer.shape),)))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Reshape, the batch staying first."""
    sizes = layer.config.get("newshape")
    if not isinstance(sizes, list | tuple) or list(sizes[:1]) not in ([-1], [None]):
        raise layer.error(f"new shape {sizes} does not begin with the batch", "let it begin with -1")
    return from_keras(replace(layer, config={"target_shape": list(sizes[1:])}))


def from_operation_axis(layer: KerasLayer) -> list[Node]:
    """ExpandDims and Squeeze: one axis of size 1 more, or less."""
    rank = len(layer.shape)
    if layer.class_name == "ExpandDims":
        axis = layer.axis("axis", rank + 1)
        return [layer.node(Reshape((*layer.shape[:axis], 1, *layer.shape[axis:])))]
    axis = layer.axis("axis", rank)
    if layer.shape[axis] != 1:
        raise layer.error(f"axis {axis + 1} of {layer.shape} is not of size 1")
    return [layer.node(Reshape((*layer.shape[:axis], *layer.shape[axis + 1 :])))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """RESHAPE, to a shape that is known before the network runs."""
    whole = prod(op.data.shape)
    sizes = (
        op.integers(1) if op.has(1) and (op.is_constant(1) or not op.outputs[0].fixed) else list(op.outputs[0].shape)
    )
    known = prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or known < 1 or whole % known:
        raise op.error(f"cannot reshape {op.data.shape} to {tuple(sizes)}")
    return [
        Node(
            op.name, Reshape(without_batch(tuple(whole // known if size == -1 else size for size in sizes))), op.inputs
        )
    ]


def from_tflite_axes(op: TFLiteOperator) -> list[Node]:
    """SQUEEZE and EXPAND_DIMS: axes of size 1 more, or less."""
    shape = op.data.shape
    if op.kind == "EXPAND_DIMS":
        axis = op.axis(op.integers(1)[0], 1) if op.has(1) else 0
        return [op.node(Reshape(without_batch((*shape[:axis], 1, *shape[axis:]))))]
    named = {op.axis(axis) for axis in op.several("SqueezeDims")} or {
        axis for axis, size in enumerate(shape) if size == 1
    }
    if any(shape[axis] != 1 for axis in named):
        raise op.error(f"axes {sorted(named)} of {shape} are not all of size 1")
    return [op.node(Reshape(without_batch(tuple(size for axis, size in enumerate(shape) if axis not in named))))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Reshape to a constant shape, and Flatten."""
    tensor = op.tensor()
    whole = tensor.shape
    if op.kind == "Flatten":
        axis = op.integer("axis", 1)
        if not -len(whole) <= axis <= len(whole):
            raise op.error(f"axis {axis} is none of {len(whole)} axes")
        axis = axis + len(whole) if axis < 0 else axis
        return op.reshaped(tensor, (prod(whole[:axis]), prod(whole[axis:])))
    sizes = op.integer_list(1, "shape")
    if not op.integer("allowzero", 0):
        sizes = [whole[i] if size == 0 and i < len(whole) else size for i, size in enumerate(sizes)]
    known = prod(size for size in sizes if size != -1)
    if sizes.count(-1) > 1 or known < 1 or min(sizes, default=0) < -1 or prod(whole) % known:
        raise op.error(f"cannot reshape {whole} to {tuple(sizes)}")
    return op.reshaped(tensor, tuple(prod(whole) // known if size == -1 else size for size in sizes))


def from_onnx_axes(op: OnnxOperator) -> Tensor:
    """Squeeze and Unsqueeze: axes of size 1 less, or more."""
    tensor, whole = op.tensor(), op.tensor().shape
    axes = op.integer_list(1, "axes") if op.given(1) else [axis for axis, size in enumerate(whole) if size == 1]
    rank = len(whole) + (len(axes) if op.kind == "Unsqueeze" else 0)
    places = {op.axis(axis, rank) for axis in axes}
    if len(places) < len(axes):
        raise op.error(f"axes {axes} name one twice")
    if op.kind == "Unsqueeze":
        rest = iter(whole)
        return op.reshaped(tensor, tuple(1 if axis in places else next(rest) for axis in range(rank)))
    if any(whole[axis] != 1 for axis in places):
        raise op.error(f"axes {axes} of {whole} are not of size 1")
    return op.reshaped(tensor, tuple(size for axis, size in enumerate(whole) if axis not in places))


@dataclass(frozen=True)
class Reshape(Operator):
    """The input's values under another shape, in the same order; no code and no memory on the device."""

    shape: Shape

    takes_channel_steps: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True
    is_view: ClassVar[bool] = True
    is_monotone: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Reshape": from_keras, "Flatten": from_keras_flatten}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "ExpandDims": from_operation_axis,
        "Reshape": from_operation,
        "Squeeze": from_operation_axis,
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "RESHAPE": from_tflite,
        "SQUEEZE": from_tflite_axes,
        "EXPAND_DIMS": from_tflite_axes,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Flatten": from_onnx,
        "Reshape": from_onnx,
        "Squeeze": from_onnx_axes,
        "Unsqueeze": from_onnx_axes,
    }

    def output_shape(self, *shapes: Shape) -> Shape:
        if prod(self.shape) != prod(shapes[0]):
            raise ValueError(f"cannot reshape {shapes[0]} to {self.shape}")
        return self.shape

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...] | None:
        if not shapes[0] or not self.shape:
            return None
        before, after = shapes[0][-1], self.shape[-1]
        # Whole pixels stay together, or are laid side by side.
        return (np.arange(after) % before,) if after % before == 0 else None

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(self, shape=(*self.shape[:-1], len(output))), constants

    def carry_step(self, step: Array, shapes: Sequence[Shape]) -> Array | None:
        channels = self.shape[-1] if self.shape else 1
        return np.tile(step, channels // step.size) if channels % step.size == 0 else None

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0].reshape(inputs[0].shape[0], *self.shape)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return self.compute(inputs, {})
