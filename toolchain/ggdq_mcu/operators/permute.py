"""Axes in another order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._copy import Copy
from ggdq_mcu.operators._keras import KerasLayer

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """Permute, with any order of the axes."""
    order = layer.integers("dims", 1)
    if sorted(order) != list(range(1, len(layer.shape) + 1)):
        raise layer.error(f"dims {tuple(order)} is not an order of the axes of {layer.shape}")
    return [layer.node(Permute(tuple(order)))]


def from_operation(layer: KerasLayer) -> list[Node]:
    """Transpose, the batch staying first."""
    axes = layer.integers("axes", 0)
    if axes[:1] != [0]:
        raise layer.error(f"axes {tuple(axes)} move the batch", "let axis 0 stay the first")
    return from_keras(replace(layer, config={"dims": axes[1:]}))


@dataclass(frozen=True)
class Permute(Copy):
    """Axis i of the output is axis ``order[i]`` of the input, counted from 1, as Keras counts beside the batch."""

    order: tuple[int, ...]

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Permute": from_keras}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {"Transpose": from_operation}

    def _details(self) -> str:
        return f" {self.order}"

    def view(self, batch: Array) -> Array:
        return np.transpose(batch, (0, *self.order))
