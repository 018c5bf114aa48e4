"""A variable's value: what the last inference left in it, or its initial value after a reset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.graph.layer import QuantizedLayer

Array = NDArray[Any]


@dataclass(frozen=True)
class Recall(Operator):
    """A variable of ``shape``, which a ``Store`` that reads this node changes for the next inference.

    It reads any node, and nothing of its values. Float weight and integer constant ``initial``, of the shape: the value
    after a reset. The C keeps the difference to it, so that zeroed memory is a reset network.
    """

    shape: Shape

    @property
    def keeps_state(self) -> bool:
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        value = np.broadcast_to(weights["initial"], (len(inputs[0]), *self.shape))
        return np.asarray(value, inputs[0].dtype)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        raise GgdqError(
            "the network keeps variables from one inference to the next, and samples do not show what they come to hold",
            fix="build a quantized file with --keep-quantization",
        )

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        if state is None:
            state = np.broadcast_to(constants["initial"], (len(inputs[0]), *self.shape)).astype(output.dtype)
        return state, state

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        initial, size = layer.constants["initial"], prod(self.shape)
        parameters, arrays = initial_value(initial)
        size_bytes = size * layer.output.storage_bits // 8
        template = f"operators/{self.name}.c.j2"
        return [Kernel("portable", template, parameters, arrays, 0, 5.0 * size, state_bytes=size_bytes)]


def initial_value(initial: Array) -> tuple[dict[str, Any], dict[str, Array]]:
    """Parameters and arrays of a kernel that adds or subtracts the initial value: one number, or one for each element."""
    if np.all(initial == initial.flat[0]):
        return {"initial": f"({int(initial.flat[0])})"}, {}
    return {"initial": "initial[i]"}, {"initial": initial}
