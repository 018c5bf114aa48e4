"""Largest value in a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.operators.shared.pool import (
    Pool,
    adaptive,
    of_tflite,
    onnx_pooled,
    onnx_reduced,
    onnx_window,
    reduction_of_tflite,
    whole_image,
    window,
)
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """MaxPooling2D, same or valid."""
    return [layer.node(MaxPool2D(*window(layer)))]


def from_keras_adaptive(layer: KerasLayer) -> list[Node]:
    """AdaptiveMaxPooling2D, to a size that divides the image."""
    return adaptive(layer, MaxPool2D)


def from_keras_global(layer: KerasLayer) -> list[Node]:
    """GlobalMaxPooling2D: a window of the whole image, then the channels as a vector unless ``keepdims``."""
    return whole_image(layer, MaxPool2D)


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """MAX_POOL_2D, same or valid."""
    return of_tflite(op, MaxPool2D)


def from_tflite_reduction(op: TFLiteOperator) -> list[Node]:
    """REDUCE_MAX and REDUCE_ANY over constant axes."""
    return reduction_of_tflite(op, MaxPool2D)


def from_onnx(op: OnnxOperator) -> Tensor:
    """MaxPool of images and sequences, with any padding and ceil_mode, without dilation and without indices."""
    image = op.image()
    size, strides = onnx_window(op, image)
    padding = op.rounded_up(image, size, strides, op.window_padding(image, size, strides))
    return onnx_pooled(op, image, MaxPool2D(size, strides, padding))


def from_onnx_global(op: OnnxOperator) -> Tensor:
    """GlobalMaxPool."""
    image = op.image()
    return onnx_pooled(op, image, MaxPool2D(image.window, image.window))


def from_onnx_reduce(op: OnnxOperator) -> Tensor:
    """ReduceMax, over any axes."""
    return onnx_reduced(op, MaxPool2D)


@dataclass(frozen=True)
class MaxPool2D(Pool):
    """Maximum over a window that slides over (H, W); padding takes no part. Integers are selected, never changed."""

    keeps_format: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "MaxPooling2D": from_keras,
        "MaxPooling1D": one_dimensional(from_keras),
        "AdaptiveMaxPooling1D": one_dimensional(from_keras_adaptive),
        "AdaptiveMaxPooling2D": from_keras_adaptive,
        "GlobalMaxPooling2D": from_keras_global,
        "GlobalMaxPooling1D": one_dimensional(from_keras_global),
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"MaxPool": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "MAX_POOL_2D": from_tflite,
        "REDUCE_ANY": from_tflite_reduction,
        "REDUCE_MAX": from_tflite_reduction,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "GlobalMaxPool": from_onnx_global,
        "MaxPool": from_onnx,
        "ReduceMax": from_onnx_reduce,
    }

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(reduce(np.maximum, self.views(inputs[0], -np.inf)))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        largest: Array = reduce(np.maximum, self.views(inputs[0], output.low))
        return largest

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        values = int(np.prod(layer.shape))
        window = self.pool_size.height * self.pool_size.width
        (portable,) = super().kernels(layer)
        overlaps = self.overlaps(layer)
        return [replace(portable, instructions=values * (6.0 * window + 12), overlaps=overlaps)]
