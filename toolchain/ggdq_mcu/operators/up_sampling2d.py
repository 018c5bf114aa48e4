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
from ggdq_mcu.operators.broadcast import nearest
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.sources.keras import KerasLayer

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

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
