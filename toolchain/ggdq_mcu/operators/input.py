"""Where the samples come in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.sources.keras import KerasLayer

Array = NDArray[Any]
#: Types of whole numbers that an input may take: bits and sign.
INTEGERS: Mapping[str, tuple[int, bool]] = {"uint8": (8, False), "int8": (8, True), "int16": (16, True)}


def from_keras(layer: KerasLayer) -> list[Node]:
    """InputLayer: its shape must be known in full, but for the batch. uint8, int8 and int16 go in as they are."""
    shape = layer.config.get("batch_shape") or layer.config.get("batch_input_shape")
    if not isinstance(shape, list | tuple) or len(shape) < 2:
        raise layer.error("its configuration has no input shape")
    if any(size is None for size in shape[1:]):
        raise layer.error(
            f"its shape {tuple(shape[1:])} is not fixed",
            "give the network an input of fixed height, width and channels",
        )
    sizes = tuple(layer.positive("input shape", size) for size in shape[1:])
    kind = str(layer.config.get("dtype"))
    return [layer.node(Input(sizes, kind if kind in INTEGERS else ""))]


@dataclass(frozen=True)
class Input(Operator):
    """An input of the network, of shape ``shape`` without the batch axis.

    ``integers`` (a key of INTEGERS) where it takes whole numbers of that type, which then are its integers; else "".
    ``channels_first``: the model that it comes from has the channels first; here they are last, as always.
    """

    shape: Shape
    integers: str = ""
    channels_first: bool = False

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"InputLayer": from_keras}

    def _details(self) -> str:
        return ", channels first in the model" if self.channels_first else ""

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        raise ValueError("an input is given, not computed")
