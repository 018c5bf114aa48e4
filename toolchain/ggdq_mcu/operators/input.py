"""Where the samples come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._keras import KerasLayer
from ggdq_mcu.operators._operator import Operator, Shape

Array = NDArray[Any]


def from_keras(layer: KerasLayer) -> list[Node]:
    """InputLayer: its shape must be known in full, but for the batch."""
    shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
    if not isinstance(shape, list | tuple) or len(shape) < 2:
        raise layer.error("its configuration has no input shape")
    if any(size is None for size in shape[1:]):
        raise layer.error(
            f"its shape {tuple(shape[1:])} is not fixed",
            "give the network an input of fixed height, width and channels",
        )
    return [layer.node(Input(tuple(layer.positive("input shape", size) for size in shape[1:])))]


@dataclass(frozen=True)
class Input(Operator):
    """An input of the network, of shape ``shape`` without the batch axis."""

    shape: Shape

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"InputLayer": from_keras}

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        raise ValueError("an input is given, not computed")
