"""A ReLU, ReLU6 or clip that stands alone, because what comes before it is read by others too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, scalar_clip
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.operators.shared.rescale import half, multipliers, step_ratio
from ggdq_mcu.sources.keras import KerasLayer, takes
from ggdq_mcu.sources.tflite import CLIPS, TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
#: Layers of Keras that change nothing at inference: regularisation and noise, and augmentation of images.
_REGULARISATION = (
    *("ActivityRegularization", "AlphaDropout", "Dropout", "GaussianDropout", "GaussianNoise", "Identity"),
    *("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
)
_AUGMENTATION = (
    *("AugMix", "CutMix", "MixUp", "RandAugment"),
    *("RandomBrightness", "RandomColorDegeneration", "RandomColorJitter", "RandomContrast", "RandomElasticTransform"),
    *("RandomErasing", "RandomFlip", "RandomGaussianBlur", "RandomGrayscale", "RandomHeight", "RandomHue"),
    *("RandomInvert", "RandomPerspective", "RandomPosterization", "RandomRotation", "RandomSaturation"),
    *("RandomSharpness", "RandomShear", "RandomTranslation", "RandomWidth", "RandomZoom"),
)


def from_keras(layer: KerasLayer) -> list[Node]:
    """Layers that do nothing at inference: a clip without bounds, which a pass removes."""
    layer.source  # noqa: B018  one input only
    return [layer.node(Clip())]


@takes("training")
def from_keras_augmentation(layer: KerasLayer) -> list[Node]:
    """Augmentation, which does nothing at inference; its calls say training=True by default, which inference overrides."""
    return from_keras(layer)


def from_operation(layer: KerasLayer) -> list[Node]:
    """Clip to two numbers."""
    low, high = layer.number("x_min"), layer.number("x_max")
    if low > high:
        raise layer.error(f"x_min {low:g} is larger than x_max {high:g}")
    layer.source  # noqa: B018  one input only
    return [layer.node(Clip(low=low, high=high))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """RELU, RELU6, RELU_0_TO_1 and RELU_N1_TO_1."""
    low, high = CLIPS[op.kind]
    return [Node(op.name, Clip(low=low, high=high), (op.source,))]


def from_tflite_type(op: TFLiteOperator) -> list[Node]:
    """QUANTIZE and DEQUANTIZE: another type for the same values."""
    return [Node(op.name, Clip(), (op.source,))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Relu and Clip; the bounds are constants."""
    tensor, low, high = op.tensor(), -math.inf, math.inf
    if op.kind == "Relu":
        low = 0.0
    elif "min" in op.attributes or "max" in op.attributes:
        raise op.error("has its bounds as attributes, as before opset 11")
    else:
        low, high = (op.bound(1, low), op.bound(2, high))
    if low > high:
        raise op.error(f"min {low:g} is larger than max {high:g}")
    return tensor.of(op.add(Clip(low=low, high=high), tensor.node))


def from_onnx_nothing(op: OnnxOperator) -> Tensor:
    """What does nothing at inference: Identity and Dropout."""
    if op.kind == "Dropout" and op.given(2) and bool(np.any(op.constant(2, "training_mode"))):
        raise op.error("is in training mode", "export the network in evaluation mode")
    return op.tensor()


@dataclass(frozen=True)
class Clip(Operator):
    """Values limited to ``low``..``high``, with an output step of their own.

    q_out = clip((m * q + r) >> n); constants ``multiplier``, ``offset``, ``shift``.
    """

    takes_channel_steps: ClassVar[bool] = True
    fuses_clip: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(_REGULARISATION, from_keras),
        **dict.fromkeys(_AUGMENTATION, from_keras_augmentation),
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Clip": from_operation,
        **dict.fromkeys(("Identity", "StopGradient"), from_keras),
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1"), from_tflite),
        **dict.fromkeys(("QUANTIZE", "DEQUANTIZE"), from_tflite_type),
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Clip": from_onnx,
        "Dropout": from_onnx_nothing,
        "Identity": from_onnx_nothing,
        "Relu": from_onnx,
    }

    @property
    def keeps_profile(self) -> bool:
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(inputs[0])

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        source = inputs[0]
        ratio = step_ratio(source, output)
        span = max(abs(source.low), source.high) + abs(source.zero_point)
        m, shift = multipliers(np.array(ratio), span, output)
        offset = half(shift) + (output.zero_point << shift) - m * source.zero_point
        return {"multiplier": m, "offset": np.asarray(offset), "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        scaled = inputs[0].astype(np.int64) * constants["multiplier"] + constants["offset"]
        result: Array = np.clip(scaled >> constants["shift"], *scalar_clip(self, output)).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        low, high = scalar_clip(self, layer.output)
        parameters = {key: value.tolist() for key, value in layer.constants.items()} | {"low": low, "high": high}
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, overlaps=elementwise(layer))]
