"""A part of a tensor: cropping, and slices with steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.rows import RowPadding, RowWindow, replaced
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.copy import Copy
from ggdq_mcu.operators.shared.one_dimension import one_dimensional
from ggdq_mcu.sources.keras import TENSOR, KerasLayer
from ggdq_mcu.sources.tflite import Origin, TFLiteOperator, without_batch
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_Key = slice | int | None  # None: a new axis
_MASKS = ("Begin", "End", "Ellipsis", "NewAxis", "ShrinkAxis")


def from_keras_cropping(layer: KerasLayer) -> list[Node]:
    """Cropping2D, by the same or by different sizes on the four sides."""
    size, channels = layer.image
    edges = layer.edges("cropping")
    rest = (size.height - edges.top - edges.bottom, size.width - edges.left - edges.right, channels)
    if min(rest) <= 0:
        raise layer.error(f"cropping {tuple(edges)} leaves nothing of {tuple(size)}")
    return [layer.node(Slice((edges.top, edges.left, 0), rest))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """GetItem: slices with positive steps, whole numbers, new axes and an ellipsis; the first index is ":"."""
    part, shape = _part(layer, _keys(layer), layer.shape)
    taken = Node(layer.auxiliary("slice"), part, layer.inputs)
    return [taken, Node(layer.name, Reshape(shape), (taken.name,))]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """STRIDED_SLICE with constant limits and positive steps, whatever its masks."""
    limits = [op.integers(position) for position in (1, 2, 3)]
    if len({len(one) for one in limits}) != 1:
        raise op.error("its limits are of different lengths")
    keys: list[_Key] = []
    for position, (begin, end, step) in enumerate(zip(*limits, strict=True)):
        masked = {key: op.integer(f"{key}Mask", 0, 0) >> position & 1 for key in _MASKS}
        if masked["Ellipsis"]:
            keys += [slice(None)] * (len(op.data.shape) - sum(_reads(op, later) for later in range(len(limits[0]))))
        elif masked["NewAxis"]:
            keys.append(None)
        elif masked["ShrinkAxis"]:
            keys.append(begin)
        else:
            keys.append(slice(None if masked["Begin"] else begin, None if masked["End"] else end, step))
    keys += [slice(None)] * (len(op.data.shape) - sum(key is not None for key in keys))
    return _of_tflite(op, op.name, keys)


def from_tflite_slice(op: TFLiteOperator) -> list[Node]:
    """SLICE with constant limits."""
    begin, size = op.integers(1), op.integers(2)
    keys = [slice(first, None if count == -1 else first + count) for first, count in zip(begin, size, strict=False)]
    return _of_tflite(op, op.name, keys)


def from_tflite_split(op: TFLiteOperator) -> list[Node]:
    """SPLIT and SPLIT_V along a constant axis, and UNPACK."""
    given = [op.integer("Axis", 0, -8)] if op.kind == "UNPACK" else op.integers(0 if op.kind == "SPLIT" else 2)
    axis = op.axis(given[0]) if given else 0
    whole, count = op.data.shape[axis], len(op.outputs)
    sizes = op.integers(1) if op.kind == "SPLIT_V" else [whole // count] * count
    sizes = [whole - sum(sizes) - 1 if size == -1 else size for size in sizes]
    if sum(sizes) != whole or len(sizes) != count or min(sizes) < 1:
        raise op.error(f"cannot split {op.data.shape} into {sizes} along axis {axis}")
    starts = [sum(sizes[:position]) for position in range(count)]
    keys = [
        first if op.kind == "UNPACK" else slice(first, first + size) for first, size in zip(starts, sizes, strict=True)
    ]
    parts = [_of_tflite(op, name, [*[slice(None)] * axis, key]) for name, key in zip(op.names, keys, strict=True)]
    return [node for nodes in parts for node in nodes]


def _reads(op: TFLiteOperator, position: int) -> bool:
    """Does an index of STRIDED_SLICE read an axis of its own?"""
    return not (op.integer("NewAxisMask", 0, 0) | op.integer("EllipsisMask", 0, 0)) >> position & 1


def _of_tflite(op: TFLiteOperator, name: str, keys: Sequence[_Key]) -> list[Node]:
    """The nodes of a part of the input, an index for each axis, that of the batch included."""
    part, shape = _part(op, keys, op.data.shape)
    first = int(op.data.batched)
    if first and (part.sizes[0], part.starts[0]) != (1, 0):
        raise op.error("cuts the batch", "convert the network for a batch of 1")
    inner = Slice(part.starts[first:], part.sizes[first:], part.steps[first:])
    taken = Node(op.unique(f"{name}_part"), inner, (op.source,))
    return [taken, Node(name, Reshape(without_batch(shape)), (taken.name,))]


def _part(layer: Origin, keys: Sequence[_Key], whole_shape: Shape) -> tuple[Slice, Shape]:
    """What the indices take of ``whole_shape``, and its shape with new axes and without those of whole numbers."""
    starts, sizes, steps, shape = [], [], [], []
    axes = iter(whole_shape)
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        whole = next(axes, 0)
        part = slice(key, key + 1 or None) if isinstance(key, int) else key
        start, stop, step = part.indices(whole)
        size = len(range(start, stop, step))
        if step < 1 or size < 1 or (isinstance(key, int) and not -whole <= key < whole):
            raise layer.error(f"index {key} into an axis of {whole} is empty or goes backwards", "use positive steps")
        starts.append(start)
        sizes.append(size)
        steps.append(step)
        shape += [] if isinstance(key, int) else [size]
    rest = tuple(axes)
    counts = (*starts, *(0 for _ in rest)), (*sizes, *rest), (*steps, *(1 for _ in rest))
    return Slice(*counts), (*shape, *rest)


def _keys(layer: KerasLayer) -> list[_Key]:
    """The index of every axis beside the batch, and None for a new axis."""
    if len(layer.arguments) != 2 or layer.arguments[0] is not TENSOR:
        raise layer.error("is not a tensor and an index")
    given = layer.arguments[1] if isinstance(layer.arguments[1], list) else [layer.arguments[1]]
    keys = [_key(layer, one) for one in given]
    known = sum(key is not None and key is not ... for key in keys)
    whole = [slice(None)] * (len(layer.shape) + 1 - known)
    position = keys.index(...) if ... in keys else len(keys)
    keys[position : position + 1] = whole
    if not isinstance(keys[0], slice) or keys[0] != slice(None) or known > len(layer.shape) + 1:
        raise layer.error("an index into the batch is not supported", "let the first index be :")
    return keys[1:]


def _key(layer: KerasLayer, value: Any) -> Any:
    kind, config = (value.get("class_name"), value.get("config")) if isinstance(value, dict) else (None, None)
    if kind == "__ellipsis__":
        return ...
    if kind == "__slice__" and isinstance(config, dict):
        limits = [config.get(key) for key in ("start", "stop", "step")]
        if all(one is None or type(one) is int for one in limits):
            return slice(*limits)
    elif value is None or type(value) is int:
        return value
    raise layer.error(f"index {str(value)[:60]} is not supported", "use slices and whole numbers")


def from_onnx(op: OnnxOperator) -> Tensor:
    """Slice, with constant bounds and positive steps, of any axes."""
    tensor = op.tensor()
    rank, starts, ends = len(tensor.shape), op.integer_list(1, "starts"), op.integer_list(2, "ends")
    axes = op.integer_list(3, "axes") if op.given(3) else list(range(len(starts)))
    steps = op.integer_list(4, "steps") if op.given(4) else [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps):
        raise op.error("starts, ends, axes and steps differ in number")
    parts: dict[int, slice] = {}
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise op.error(f"step {step} is not supported", "use positive steps")
        parts[op.axis(axis, rank)] = slice(start, end, step)
    return onnx_part(op, tensor, parts)


def from_onnx_split(op: OnnxOperator) -> tuple[Tensor, ...]:
    """Split, into equal parts or parts of constant sizes, along any axis."""
    tensor = op.tensor()
    axis = op.axis(op.integer("axis", 0), len(tensor.shape))
    whole, count = tensor.shape[axis], op.integer("num_outputs", op.outputs, 1)
    sizes = op.integer_list(1, "split") if op.given(1) else [-(-whole // count)] * count
    if not op.given(1):
        sizes[-1] = whole - sizes[0] * (count - 1)
    if sum(sizes) != whole or min(sizes) < 1 or len(sizes) != op.outputs:
        raise op.error(f"sizes {sizes[:8]} do not split {whole} into {op.outputs}")
    ends = [sum(sizes[: index + 1]) for index in range(len(sizes))]
    return tuple(onnx_part(op, tensor, {axis: slice(end - size, end)}) for size, end in zip(sizes, ends, strict=True))


def onnx_part(op: OnnxOperator, tensor: Tensor, parts: Mapping[int, slice]) -> Tensor:
    """The tensor with these parts of its axes."""
    if tensor.listed is not None:
        tensor = op.plain(tensor)
    ranges = [range(*parts.get(axis, slice(None)).indices(size)) for axis, size in enumerate(tensor.shape)]
    if any(len(one) == 0 for one in ranges):
        raise op.error(f"leaves nothing of {tensor.shape}")
    stored = [ranges[axis] for axis in tensor.order]
    if all(len(one) == size for one, size in zip(stored, tensor.stored, strict=False)):
        return tensor
    operator = Slice(tuple(one.start for one in stored), tuple(map(len, stored)), tuple(one.step for one in stored))
    return replace(tensor, node=op.add(operator, tensor.node), shape=tuple(map(len, ranges)))


@dataclass(frozen=True)
class Slice(Copy):
    """``sizes[i]`` elements of axis i, from ``starts[i]`` on; every ``steps[i]``-th where steps are given."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...] = ()

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Cropping2D": from_keras_cropping,
        "Cropping1D": one_dimensional(from_keras_cropping),
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"GetItem": from_operation}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "STRIDED_SLICE": from_tflite,
        "SLICE": from_tflite_slice,
        "SPLIT": from_tflite_split,
        "SPLIT_V": from_tflite_split,
        "UNPACK": from_tflite_split,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "Slice": from_onnx,
        "Split": from_onnx_split,
    }

    def _details(self) -> str:
        return f" from {self.starts}" + (f" by {self.steps}" if self.steps else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        steps = self.steps or (1,) * len(self.starts)
        axes = zip(shapes[0], self.starts, self.sizes, steps, strict=True)
        if any(start < 0 or step < 1 or start + (size - 1) * step >= whole for whole, start, size, step in axes):
            raise ValueError(f"no elements {self.sizes} from {self.starts} in {shapes[0]}")
        return self.sizes

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow(stride=self.steps[axis] if self.steps else 1, before=-self.starts[axis])

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return replace(
            self, starts=replaced(self.starts, axis, 0), sizes=replaced(self.sizes, axis, len(rows))
        ), constants

    def view(self, batch: Array) -> Array:
        steps = self.steps or (1,) * len(self.starts)
        axes = zip(self.starts, self.sizes, steps, strict=True)
        return batch[:, *(slice(start, start + size * step, step) for start, size, step in axes)]
