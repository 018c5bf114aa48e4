"""A part of a tensor: cropping, and slices with steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._copy import Copy
from ggdq_mcu.operators._keras import TENSOR, KerasLayer
from ggdq_mcu.operators._one_dimension import one_dimensional
from ggdq_mcu.operators._operator import Shape
from ggdq_mcu.operators.reshape import Reshape

Array = NDArray[Any]


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
    keys = _keys(layer)
    starts, sizes, steps, shape = [], [], [], []
    axes = iter(layer.shape)
    for key in keys:
        if key is None:
            shape.append(1)
            continue
        whole = next(axes)
        part = slice(key, key + 1 or None) if isinstance(key, int) else key
        start, stop, step = part.indices(whole)
        size = len(range(start, stop, step))
        if step < 1 or size < 1 or (isinstance(key, int) and not -whole <= key < whole):
            raise layer.error(f"index {key} into an axis of {whole} is empty or goes backwards", "use positive steps")
        starts.append(start)
        sizes.append(size)
        steps.append(step)
        shape += [] if isinstance(key, int) else [size]
    taken = Node(layer.auxiliary("slice"), Slice(tuple(starts), tuple(sizes), tuple(steps)), layer.inputs)
    return [taken, Node(layer.name, Reshape(tuple(shape)), (taken.name,))]


def _keys(layer: KerasLayer) -> list[slice | int | None]:
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

    def _details(self) -> str:
        return f" from {self.starts}" + (f" by {self.steps}" if self.steps else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        steps = self.steps or (1,) * len(self.starts)
        axes = zip(shapes[0], self.starts, self.sizes, steps, strict=True)
        if any(start < 0 or step < 1 or start + (size - 1) * step >= whole for whole, start, size, step in axes):
            raise ValueError(f"no elements {self.sizes} from {self.starts} in {shapes[0]}")
        return self.sizes

    def view(self, batch: Array) -> Array:
        steps = self.steps or (1,) * len(self.starts)
        axes = zip(self.starts, self.sizes, steps, strict=True)
        return batch[:, *(slice(start, start + size * step, step) for start, size, step in axes)]
