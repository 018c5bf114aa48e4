"""Mean over a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, scalar_clip
from ggdq_mcu.graph.rows import RowPadding
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.activation import Activation, fused
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
from ggdq_mcu.operators.shared.rescale import half, multipliers, step_ratio
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """AveragePooling2D, same or valid."""
    return [layer.node(AveragePool2D(*window(layer)))]


def from_keras_adaptive(layer: KerasLayer) -> list[Node]:
    """AdaptiveAveragePooling2D, to a size that divides the image."""
    return adaptive(layer, AveragePool2D)


def from_keras_global(layer: KerasLayer) -> list[Node]:
    """GlobalAveragePooling2D: a window of the whole image, then the channels as a vector unless ``keepdims``."""
    return whole_image(layer, AveragePool2D)


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """AVERAGE_POOL_2D, same or valid."""
    return of_tflite(op, AveragePool2D)


def from_tflite_l2(op: TFLiteOperator) -> list[Node]:
    """L2_POOL_2D, same or valid: the root of the mean of the squares."""
    square = Node(op.auxiliary("square"), Activation("square"), (op.source,))
    size, strides = op.size("FilterHeight", "FilterWidth"), op.size("StrideH", "StrideW")
    mean = Node(op.auxiliary("mean"), AveragePool2D(size, strides, op.padding(size, strides)), (square.name,))
    return fused(op, [square, mean, Node(op.name, Activation("square_root"), (mean.name,))])


def from_tflite_mean(op: TFLiteOperator) -> list[Node]:
    """MEAN over constant axes."""
    return reduction_of_tflite(op, AveragePool2D)


def from_onnx(op: OnnxOperator) -> Tensor:
    """AveragePool of images and sequences, with any padding (counted or not) and ceil_mode, without dilation."""
    image = op.image()
    size, strides = onnx_window(op, image)
    padding = op.window_padding(image, size, strides)
    whole = op.rounded_up(image, size, strides, padding)
    if not op.integer("count_include_pad", 0) or not any(padding):
        return onnx_pooled(op, image, AveragePool2D(size, strides, whole))
    zeros = ZeroPadding2D(padding)
    height, width, _ = zeros.output_shape(image.shape)
    padded = image._replace(node=op.add(zeros, image.node, suffix="padded"), size=Size(height, width))
    rest = Padding(0, whole.bottom - padding.bottom, 0, whole.right - padding.right)
    return onnx_pooled(op, padded, AveragePool2D(size, strides, rest))


def from_onnx_global(op: OnnxOperator) -> Tensor:
    """GlobalAveragePool."""
    image = op.image()
    return onnx_pooled(op, image, AveragePool2D(image.window, image.window))


def from_onnx_reduce(op: OnnxOperator) -> Tensor:
    """ReduceMean, over any axes."""
    return onnx_reduced(op, AveragePool2D)


@dataclass(frozen=True)
class AveragePool2D(Pool):
    """Mean over a window that slides over (H, W); padding is not counted, as in Keras.

    q_out = clip((m * S + r) >> n), S the sum of the window's integers; ``shift`` is n. ``multiplier`` and ``offset``
    hold m and r: (Ho, Wo, 1) where there is padding, since windows at the edge see fewer pixels; else (1, 1, C) or (1,
    1, 1), as each channel may then have output steps of its own.
    """

    fuses_clip: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "AveragePooling2D": from_keras,
        "AveragePooling1D": one_dimensional(from_keras),
        "AdaptiveAveragePooling1D": one_dimensional(from_keras_adaptive),
        "AdaptiveAveragePooling2D": from_keras_adaptive,
        "GlobalAveragePooling2D": from_keras_global,
        "GlobalAveragePooling1D": one_dimensional(from_keras_global),
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"AveragePool": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "AVERAGE_POOL_2D": from_tflite,
        "L2_POOL_2D": from_tflite_l2,
        "MEAN": from_tflite_mean,
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "AveragePool": from_onnx,
        "GlobalAveragePool": from_onnx_global,
        "ReduceMean": from_onnx_reduce,
    }

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = sum(self.views(inputs[0], 0.0))
        counts = self.counts(*inputs[0].shape[1:3])[..., None]
        return self.clip((total / counts).astype(inputs[0].dtype))

    @property
    def _weight(self) -> float:
        """What the mean is multiplied by."""
        return 1.0

    @property
    def gives_channel_steps(self) -> bool:
        return not any(self.padding)

    @property
    def keeps_profile(self) -> bool:
        return any(self.padding)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        if self.keeps_profile:
            counts = self.counts(*shapes[0][:2])[..., None]
            ratio = np.asarray(step_ratio(inputs[0], output))
        else:
            counts = np.full((1, 1, 1), self.pool_size.height * self.pool_size.width)
            ratio = np.asarray(inputs[0].step, np.float64) / output.step
        span = max(abs(inputs[0].low), inputs[0].high) * int(counts.max())
        m, shift = multipliers(ratio * self._weight / counts, span, output, 30 if inputs[0].bits <= 8 else 61)
        offset = half(shift) + (output.zero_point << shift) - m * counts * inputs[0].zero_point
        return {"multiplier": m, "offset": offset, "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = sum(self.views(inputs[0].astype(np.int64), 0))
        scaled = total * constants["multiplier"] + constants["offset"]
        result: Array = np.clip(scaled >> constants["shift"], *scalar_clip(self, output)).astype(output.dtype)
        return result

    def with_channels(
        self, constants: Mapping[str, Array], inputs: Sequence[Array], output: Array, shapes: Sequence[Shape]
    ) -> tuple[Operator, Mapping[str, Array]]:
        by_channel = {key: constants[key] for key in ("multiplier", "offset") if constants[key].shape[-1] > 1}
        return self, {**constants, **{key: value[..., output] for key, value in by_channel.items()}}

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        operator, _ = super().for_rows(axis, rows, padding, constants)
        if self.keeps_profile:  # a multiplier for each position
            constants = {**constants, **{key: np.take(constants[key], rows, axis) for key in ("multiplier", "offset")}}
        return operator, constants

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        m, r = layer.constants["multiplier"], layer.constants["offset"]
        low, high = scalar_clip(self, layer.output)
        wide = layer.sources[0].bits > 8
        parameters: dict[str, Any] = {"shift": int(layer.constants["shift"]), "low": low, "high": high}
        parameters |= {
            "accumulator": "int64_t" if wide else "int32_t",
            "clip": "ggdq_clip_wide" if wide else "ggdq_clip",
        }
        arrays: dict[str, Array] = {}
        if np.all(m == m.flat[0]):
            parameters |= {"varies": "", "multiplier": int(m.flat[0]), "offset": int(r.flat[0])}
        else:
            parameters["varies"] = "position" if self.keeps_profile else "channel"
            arrays = {"multiplier": m.astype(np.int16), "offset": r.astype(np.int64 if wide else np.int32)}
        values = int(np.prod(layer.shape))
        window = self.pool_size.height * self.pool_size.width
        overlaps, cost = self.overlaps(layer), values * (5.0 * window + 15)
        template = f"operators/{self.name}.c.j2"
        return [Kernel("portable", template, parameters, arrays, instructions=cost, overlaps=overlaps)]
