"""Images enlarged by whole factors: bilinear here, nearest by repetition."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.broadcast import Broadcast, nearest
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.sources.keras import KerasLayer

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import Image, OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_LARGEST = 4096  # so that weighted sums of 16-bit values stay within 32 bits


def from_keras(layer: KerasLayer) -> list[Node]:
    """UpSampling2D, interpolation nearest or bilinear."""
    layer.image  # noqa: B018  an image only
    factors = layer.size("size", 2)
    kind = layer.text("interpolation", "nearest")
    if kind == "nearest":
        return nearest(layer, factors)
    if kind != "bilinear":
        raise layer.error(f"interpolation {kind[:60]!r} is not supported", "use nearest or bilinear")
    return [layer.node(UpSampling2D(factors))]


def from_onnx(op: OnnxOperator) -> Tensor:
    """Resize of images and sequences by whole factors: nearest where each pixel is repeated, linear between pixel centres."""
    image = op.image()
    factors = _onnx_factors(op, image)
    mode, places_as = op.text("mode", "nearest"), op.text("coordinate_transformation_mode", "half_pixel")
    if op.integer("antialias", 0) or op.integer("exclude_outside", 0):
        raise op.error("antialias and exclude_outside are not supported", "leave them out")
    out = Size(image.size.height * factors.height, image.size.width * factors.width)
    if factors == (1, 1):
        return op.tensor()
    if mode == "linear" and places_as in ("half_pixel", "pytorch_half_pixel"):
        node = op.add(UpSampling2D(factors), image.node)
    elif mode == "nearest" and _repeats(factors, places_as, op.text("nearest_mode", "round_prefer_floor")):
        (height, width), channels = image.size, image.channels
        apart = op.view(Reshape((height, 1, width, 1, channels)), image.node)
        repeated = op.add(Broadcast((height, factors.height, width, factors.width, channels)), apart)
        node = op.view(Reshape((*out, channels)), repeated)
    else:
        raise op.error(
            f"mode {mode[:60]!r} with {places_as[:60]!r} is not supported", "use nearest, or linear with half_pixel"
        )
    return op.from_image(node, out, image.channels, image.axes)


def _onnx_factors(op: OnnxOperator, image: Image) -> Size:
    """By how much the axes grow, from scales or sizes of all axes or of those that ``axes`` names."""
    rank = image.axes + 2
    axes = op.integers("axes", list(range(rank)), -rank)
    whole = op.tensor().shape
    if op.given(3):
        sizes = op.integer_list(3, "sizes")
        scales = [size / whole[axis] for size, axis in zip(sizes, axes, strict=False)]
    else:
        scales = [float(scale) for scale in op.weights(2, "scales").ravel()]
    by_axis = {axis % rank: scale for axis, scale in zip(axes, scales, strict=False)}
    factors = [by_axis.get(axis, 1.0) for axis in range(rank)]
    if (
        len(scales) != len(axes)
        or any(not 1 <= one <= _LARGEST or one != int(one) for one in factors)
        or factors[:2] != [1, 1]
    ):
        raise op.error(f"scales {[round(one, 4) for one in factors]} are not whole numbers for height and width")
    return Size(int(factors[2]), int(factors[3])) if image.axes == 2 else Size(1, int(factors[2]))


def _repeats(factors: Size, places_as: str, rounding: str) -> bool:
    """Does nearest interpolation repeat each pixel as often as the image grows?"""
    rounded: Mapping[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    shifts = {"half_pixel": 0.5, "pytorch_half_pixel": 0.5, "asymmetric": 0.0}
    if rounding not in rounded or places_as not in (*shifts, "tf_half_pixel_for_nn"):
        return False
    # TensorFlow's own form adds half a pixel to the output's place alone.
    shift, back = (0.5, 0.0) if places_as == "tf_half_pixel_for_nn" else (shifts[places_as], shifts[places_as])
    # Of the second pixel of many, since those at the edges are limited to the image.
    found = [rounded[rounding]((np.arange(factor, 2 * factor) + shift) / factor - back) for factor in factors]
    return all(np.all(one == 1) for one in found)


@dataclass(frozen=True)
class UpSampling2D(Operator):
    """Bilinear interpolation by whole factors, pixels at their centres, edges repeated: (H, W, C) -> (H * fy, W * fx,
    C).

    Output row y lies between input rows y0 and y0 + 1 with the whole weights w and 2 * fy - w; columns likewise. The
    format stays, and with D = 4 * fy * fx and S the weighted sum of the four q - low:  q_out = low + floor((S + D / 2)
    / D)
    """

    factors: Size

    takes_channel_steps: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "UpSampling2D": from_keras,
        "UpSampling1D": one_dimensional(from_keras),
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Resize": from_onnx}

    def _details(self) -> str:
        return f" {self.factors.height}x{self.factors.width} bilinear"

    def output_shape(self, *shapes: Shape) -> Shape:
        height, width, channels = shapes[0]
        if prod(self.factors) > _LARGEST:
            raise ValueError(f"enlarged {prod(self.factors)} times; at most {_LARGEST}")
        return (height * self.factors.height, width * self.factors.width, channels)

    def _sum(self, image: Array) -> Array:
        """The weighted sums, D times the interpolated values."""
        for axis, factor in enumerate(self.factors, 1):
            first, weight = places(image.shape[axis], factor)
            second = np.minimum(first + 1, image.shape[axis] - 1)
            weight = weight.reshape(-1, *(1,) * (image.ndim - axis - 1)).astype(image.dtype)
            near, far = np.take(image, np.maximum(first, 0), axis), np.take(image, second, axis)
            image = near * weight + far * (2 * factor - weight)
        return image

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total: Array = self._sum(inputs[0]) / (4 * prod(self.factors))
        return total.astype(inputs[0].dtype)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        divisor = 4 * prod(self.factors)
        total = self._sum(inputs[0].astype(np.int64) - output.low)
        result: Array = (output.low + (total + divisor // 2) // divisor).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        return [Kernel("portable", f"operators/{self.name}.c.j2", instructions=28 * prod(layer.shape))]


def places(size: int, factor: int) -> tuple[Array, Array]:
    """For each output position the input position before it (-1: the edge) and its weight in 1 / (2 * factor)."""
    twice = 2 * np.arange(size * factor) + 1 - factor  # 2 * factor times the place in the input
    first = twice // (2 * factor)
    return first, 2 * factor - (twice - first * 2 * factor)
