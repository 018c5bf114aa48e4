"""A vector for each index: embedding."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.sources.keras import KerasLayer

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
_MOST_INDICES = 1 << 15  # what 16 bits tell


def from_keras(layer: KerasLayer) -> list[Node]:
    """Embedding of up to 32768 indices, which are an input of the network; no mask_zero."""
    if layer.flag("mask_zero", False):
        raise layer.error("mask_zero is not supported", "leave it out, and give the network sequences of full length")
    count, size = layer.integer("input_dim"), layer.integer("output_dim")
    if count > _MOST_INDICES:
        raise layer.error(f"has {count} indices, more than {_MOST_INDICES}", "use a smaller vocabulary")
    return [layer.node(Embedding(count, size), layer.take(embeddings=(count, size)))]


@dataclass(frozen=True)
class Embedding(Operator):
    """For each index of the input the row of a table: (...) -> (..., size); weight ``embeddings`` (count, size).

    The input's integers are the indices; one beyond the table is the nearest that there is. q_out = table[index].
    """

    count: int
    size: int

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Embedding": from_keras}

    @property
    def gives_channel_steps(self) -> bool:
        return True

    @property
    def indices(self) -> int:
        return self.count

    def _details(self) -> str:
        return f" of {self.count}"

    def output_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0], self.size)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return np.asarray(weights["embeddings"][np.clip(inputs[0].astype(np.int64), 0, self.count - 1)])

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        if inputs[0].per_channel or inputs[0].step != 1 or inputs[0].zero_point:
            raise GgdqError("reads something other than indices", fix="let it read an input of the network")
        return {"table": output.quantize(np.asarray(weights["embeddings"], np.float64))}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return np.asarray(constants["table"][np.clip(inputs[0].astype(np.int64), 0, self.count - 1)])

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        count = prod(layer.shapes[0])
        cost = count * (25 + self.size)
        return [Kernel("portable", f"operators/{self.name}.c.j2", {}, dict(layer.constants), instructions=cost)]
