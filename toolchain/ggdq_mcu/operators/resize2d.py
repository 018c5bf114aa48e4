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
from ggdq_mcu.operators.broadcast import Broadcast, nearest
from ggdq_mcu.operators.gather import Gather
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.up_sampling2d import UpSampling2D
from ggdq_mcu.sources.keras import KerasLayer, takes
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import Image, OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_LARGEST = 1 << 15  # positions along an axis
_ONE = 1 << 10  # the weights' unit
# Whether corners stay corners, and whether places are pixel centres.
_ONNX_LINEAR = {
    "half_pixel": (False, True),
    "pytorch_half_pixel": (False, True),
    "align_corners": (True, False),
    "asymmetric": (False, False),
}


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


def from_onnx(op: OnnxOperator) -> Tensor:
    """Resize of images and sequences to any constant size, nearest or linear."""
    image = op.image()
    mode, places_as = op.text("mode", "nearest"), op.text("coordinate_transformation_mode", "half_pixel")
    if op.integer("antialias", 0) or op.integer("exclude_outside", 0):
        raise op.error("antialias and exclude_outside are not supported", "leave them out")
    out, scales = _onnx_target(op, image)
    if mode == "nearest":
        rounding = op.text("nearest_mode", "round_prefer_floor")
        lines = [_onnx_places(op, *line, places_as, rounding) for line in zip(image.size, out, scales, strict=True)]
        node = _onnx_nearest(op, image, out, lines)
    elif mode == "linear" and places_as in _ONNX_LINEAR:
        if any(
            abs(scale * size - length) > 1e-5 * length
            for size, length, scale in zip(image.size, out, scales, strict=True)
        ):
            raise op.error("scales that give no whole number of pixels", "give sizes, or scales that do")
        corners, centres = _ONNX_LINEAR[places_as]
        if places_as == "pytorch_half_pixel" and 1 in out and out != image.size:
            raise op.error("pytorch_half_pixel to a single row or column", "use half_pixel")
        node = op.add(_bilinear(image.size, out) if centres else Resize2D(out, corners, centres), image.node)
    else:
        raise op.error(
            f"mode {mode[:60]!r} with {places_as[:60]!r} is not supported", "use nearest, or linear with half_pixel"
        )
    return op.from_image(node, out, image.channels, image.axes)


def _onnx_target(op: OnnxOperator, image: Image) -> tuple[Size, tuple[float, float]]:
    """The new size, and by how much each axis grows: from scales or sizes of all axes or of those that ``axes`` names."""
    rank = image.axes + 2
    axes = op.integers("axes", list(range(rank)), -rank)
    whole = op.tensor().shape
    if op.given(3):
        sizes = op.integer_list(3, "sizes")
        scales = [size / whole[axis] for size, axis in zip(sizes, axes, strict=False)]
    else:
        scales = [float(scale) for scale in op.weights(2, "scales").ravel()]
        sizes = [int(whole[axis] * scale + 1e-6) for scale, axis in zip(scales, axes, strict=False)]
    by_axis = {axis % rank: (scale, size) for axis, scale, size in zip(axes, scales, sizes, strict=False)}
    found = [by_axis.get(axis, (1.0, whole[axis])) for axis in range(rank)]
    if len(scales) != len(axes) or found[0][0] != 1 or found[1][0] != 1:
        shown = [round(one, 4) for one, _ in found]
        raise op.error(
            f"scales {shown} are not those of height and width alone", "leave batch and channels as they are"
        )
    if not all(1 <= size <= _LARGEST for _, size in found[2:]):
        raise op.error(f"sizes {[size for _, size in found[2:]]} are not 1..{_LARGEST}")
    (height, rows), (width, columns) = found[2:] if image.axes == 2 else ((1.0, image.size.height), found[2])
    return Size(rows, columns), (height, width)


def _onnx_places(op: OnnxOperator, size: int, out: int, scale: float, places_as: str, rounding: str) -> Array:
    """For each of ``out`` positions the one of ``size`` that is nearest, as ONNX defines it."""
    rounded: Mapping[str, Callable[[Array], Array]] = {
        "round_prefer_floor": lambda x: np.ceil(x - 0.5),
        "round_prefer_ceil": lambda x: np.floor(x + 0.5),
        "floor": np.floor,
        "ceil": np.ceil,
    }
    x = np.arange(out)
    shifted: Mapping[str, Callable[[], Array]] = {
        "half_pixel": lambda: (x + 0.5) / scale - 0.5,
        "pytorch_half_pixel": lambda: (x + 0.5) / scale - 0.5 if out > 1 else np.zeros(1),
        "asymmetric": lambda: x / scale,
        "align_corners": lambda: x * ((size - 1) / (out - 1)) if out > 1 else np.zeros(1),
        "tf_half_pixel_for_nn": lambda: (x + 0.5) / scale,
    }
    if rounding not in rounded or places_as not in shifted:
        what = f"nearest with {rounding[:60]!r} and {places_as[:60]!r} is not supported"
        raise op.error(what, "use half_pixel or asymmetric, and floor, ceil or round_prefer_floor")
    return np.clip(rounded[rounding](shifted[places_as]()).astype(np.int64), 0, size - 1)


def _onnx_nearest(op: OnnxOperator, image: Image, out: Size, lines: Sequence[Array]) -> str:
    """The nearest pixels: each repeated, where the image grows by whole factors, else rows, then columns by their places."""
    (height, width), channels = image.size, image.channels
    factors = Size(max(out.height // height, 1), max(out.width // width, 1))
    repeats = [np.repeat(np.arange(size), factor) for size, factor in zip(image.size, factors, strict=True)]
    if all(np.array_equal(line, repeat) for line, repeat in zip(lines, repeats, strict=True)):
        if factors == (1, 1):
            return image.node
        apart = op.view(Reshape((height, 1, width, 1, channels)), image.node)
        repeated = op.add(Broadcast((height, factors.height, width, factors.width, channels)), apart)
        return op.view(Reshape((*out, channels)), repeated)
    columns = op.view(Gather(-2, tuple(lines[1].tolist())), image.node)
    return op.add(Gather(-3, tuple(lines[0].tolist())), columns)


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
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"Resize": from_onnx}
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
