"""Where the samples come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ggdq_mcu.operators._operator import Operator, Shape

Array = NDArray[Any]


@dataclass(frozen=True)
class Input(Operator):
    """An input of the network, of shape ``shape`` without the batch axis."""

    shape: Shape

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        raise ValueError("an input is given, not computed")
