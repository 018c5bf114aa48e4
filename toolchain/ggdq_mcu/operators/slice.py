"""A part of a tensor: cropping, and slices with steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._copy import Copy
from ggdq_mcu.operators._keras import KerasLayer
from ggdq_mcu.operators._one_dimension import one_dimensional
from ggdq_mcu.operators._operator import Shape

Array = NDArray[Any]


def from_keras_cropping(layer: KerasLayer) -> list[Node]:
    """Cropping2D, by the same or by different sizes on the four sides."""
    size, channels = layer.image
    edges = layer.edges("cropping")
    rest = (size.height - edges.top - edges.bottom, size.width - edges.left - edges.right, channels)
    if min(rest) <= 0:
        raise layer.error(f"cropping {tuple(edges)} leaves nothing of {tuple(size)}")
    return [layer.node(Slice((edges.top, edges.left, 0), rest))]


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
