"""Images of any other size, by bilinear interpolation or by the nearest pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.broadcast import nearest
from ggdq_mcu.operators.gather import Gather
from ggdq_mcu.operators.up_sampling2d import UpSampling2D
from ggdq_mcu.sources.keras import KerasLayer, takes
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
_LARGEST = 1 << 15  # positions along an axis
_ONE = 1 << 10  # the weights' unit


@takes("training")
def from_keras(layer: KerasLayer) -> list[Node]:
    """Resizing, bilinear or nearest, to any size."""
    image, channels = layer.image
    out = Size(layer.integer("height"), layer.integer("width"))
    for key in ("antialias", "crop_to_aspect_ratio", "pad_to_aspect_ratio"):
        if layer.flag(key, False):
            raise layer.error(f"{key} is not supported", "leave it out")
    kind = layer.text("interpolation", "bilinear")
    if kind == "nearest":
        return _nearest(layer, (*image, channels), out, corners=False, centres=True)
    if kind != "bilinear":
        raise layer.error(f"interpolation {kind[:60]!r} is not supported", "use nearest or bilinear")
    return [layer.node(_bilinear(image, out))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR, to any constant size."""
    image, channels = op.image
    out = _target(op)
    corners, centres = op.flag("AlignCorners"), op.flag("HalfPixelCenters")
    if op.kind == "RESIZE_NEAREST_NEIGHBOR":
        return _nearest(op, (*image, channels), out, corners, centres)
    operator = _bilinear(image, out) if centres and not corners else Resize2D(out, corners, centres)
    return [Node(op.name, operator, (op.source,))]


def from_tflite_kept(op: TFLiteOperator) -> list[Node]:
    """RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR, to any constant size."""
    if op.kind == "RESIZE_NEAREST_NEIGHBOR":
        return from_tflite(op)
    if op.data.dtype.kind == "u":
        raise op.error("its kernel for uint8 computes with real numbers, which cannot be kept", WITHOUT)
    return [Node(op.name, Resize2D(_target(op), op.flag("AlignCorners"), op.flag("HalfPixelCenters")), (op.source,))]


def _target(op: TFLiteOperator) -> Size:
    """The output's size."""
    image, _ = op.image
    target = op.integers(1)
    if len(target) != 2 or not 1 <= min(target) <= max(*target, *image) <= _LARGEST:
        raise op.error(f"sizes {tuple(image)} and {target} are not 1..{_LARGEST} rows and columns")
    if op.flag("AlignCorners") and op.flag("HalfPixelCenters"):
        raise op.error("aligns corners with half_pixel_centers", "use one of them")
    return Size(*target)


def _bilinear(image: Size, out: Size) -> Operator:
    """Between pixel centres: whole factors need no tables."""
    if out.height % image.height == 0 and out.width % image.width == 0:
        return UpSampling2D(Size(out.height // image.height, out.width // image.width))
    return Resize2D(out)


def _nearest(layer: Origin, shape: Shape, out: Size, corners: bool, centres: bool) -> list[Node]:
    """The nearest pixels: those of each row, then rows."""
    places = [nearest_places(size, count, corners, centres) for size, count in zip(shape[:2], out, strict=True)]
    factors = (out.height // shape[0], out.width // shape[1])
    if all(
        factor and np.array_equal(one, np.repeat(np.arange(size), factor))
        for one, size, factor in zip(places, shape[:2], factors, strict=True)
    ):
        return nearest(layer, factors)
    columns = Node(layer.auxiliary("columns"), Gather(-2, tuple(places[1].tolist())), (layer.source,))
    return [columns, Node(layer.name, Gather(-3, tuple(places[0].tolist())), (columns.name,))]


def nearest_places(size: int, out: int, corners: bool, centres: bool) -> Array:
    """For each of ``out`` positions the one of ``size`` that TFLite takes; in its single precision."""
    aligned = corners and out > 1
    scale = np.float32(size - 1) / np.float32(out - 1) if aligned else np.float32(size) / np.float32(out)
    place = (np.arange(out, dtype=np.float32) + np.float32(0.5 if centres else 0)) * scale
    whole = np.floor(place + np.float32(0.5)) if corners else np.floor(place)
    return np.asarray(np.clip(whole.astype(np.int64), 0, size - 1))


class Line(NamedTuple):
    """Along an axis, for each output position: the two input positions that it lies between, and the second one's weight."""

    first: Array
    second: Array
    weight: Array


@dataclass(frozen=True)
class Resize2D(Operator):
    """Bilinear interpolation: (H, W, C) -> (*size, C); ``centres``: between pixel centres, ``corners``: corners stay corners.

    Along each axis, with places and weights w in 1/1024, edges repeated; the format stays:
    S = sum of q * w_row * w_column over the four neighbours, q_out = S / 2^20, rounded half away from zero.
    """

    size: Size
    corners: bool = False
    centres: bool = True

    takes_channel_steps: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True
    is_monotone: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Resizing": from_keras}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "RESIZE_BILINEAR": from_tflite,
        "RESIZE_NEAREST_NEIGHBOR": from_tflite,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(from_tflite_kept) for kind in tflite_operators
    }

    def _details(self) -> str:
        text = f" {self.size.height}x{self.size.width} bilinear"
        return text + (", corners aligned" if self.corners else "" if self.centres else ", no pixel centres")

    def output_shape(self, *shapes: Shape) -> Shape:
        _, _, channels = shapes[0]
        return (*self.size, channels)

    def channel_sources(self, shapes: Sequence[Shape]) -> tuple[Array, ...]:
        return (np.arange(shapes[0][-1]),)

    def line(self, size: int, out: int) -> Line:
        """Places and weights along an axis, in integers."""
        aligned = self.corners and out > 1
        whole, parts = (size - 1, out - 1) if aligned else (size, out)
        scale = (_ONE * whole + parts // 2) // parts
        place = np.arange(out, dtype=np.int64) * scale + (scale // 2 - _ONE // 2 if self.centres else 0)
        first = np.clip(place // _ONE, 0, size - 1)
        second = np.clip(-(-place // _ONE), 0, size - 1)
        return Line(first, second, place - _ONE * first)

    def real_line(self, size: int, out: int) -> Line:
        """The same in real numbers."""
        aligned = self.corners and out > 1
        scale = (size - 1) / (out - 1) if aligned else size / out
        place = np.arange(out) * scale + (scale / 2 - 0.5 if self.centres else 0)
        first = np.clip(np.floor(place), 0, size - 1).astype(np.int64)
        second = np.clip(np.ceil(place), 0, size - 1).astype(np.int64)
        return Line(first, second, place - first)

    def _sum(self, image: Array, lines: Sequence[Line], one: Any) -> Array:
        """Weighted sums, ``one`` ** 2 times the interpolated values."""
        for axis, line in enumerate(lines, 1):
            weight = line.weight.reshape(-1, *(1,) * (image.ndim - axis - 1)).astype(image.dtype)
            image = np.take(image, line.first, axis) * (one - weight) + np.take(image, line.second, axis) * weight
        return image

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        lines = [self.real_line(size, out) for size, out in zip(inputs[0].shape[1:3], self.size, strict=True)]
        return self._sum(inputs[0], lines, inputs[0].dtype.type(1))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        lines = [self.line(size, out) for size, out in zip(inputs[0].shape[1:3], self.size, strict=True)]
        total = self._sum(inputs[0].astype(np.int64), lines, np.int64(_ONE))
        rounded = np.sign(total) * ((np.abs(total) + _ONE * _ONE // 2) // (_ONE * _ONE))
        return np.asarray(rounded.astype(output.dtype))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (shape,) = layer.shapes
        arrays: dict[str, Array] = {}
        for name, size, out in zip(("row", "column"), shape[:2], self.size, strict=True):
            line = self.line(size, out)
            arrays |= {
                f"{name}_first": line.first.astype(np.uint16),
                f"{name}_second": line.second.astype(np.uint16),
                f"{name}_weight": line.weight.astype(np.int16),
            }
        parameters = {"sum": "int32_t" if layer.output.bits <= 8 else "int64_t"}
        cost = 30.0 * prod(layer.shape)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, arrays, instructions=cost)]
