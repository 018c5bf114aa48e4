"""A new value for a variable, for the next inference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.operators.recall import initial_value

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.graph.layer import QuantizedLayer

Array = NDArray[Any]


@dataclass(frozen=True)
class Store(Operator):
    """The first input, which becomes the value of the variable that the second one, a ``Recall``, gives; same formats.

    Integer constant ``initial``: the variable's, whose difference is kept.
    """

    changes_state: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True

    @property
    def keeps_state(self) -> bool:
        return True

    def output_shape(self, *shapes: Shape) -> Shape:
        if prod(shapes[0]) != prod(shapes[1]):
            raise ValueError(f"a variable of shape {shapes[1]} cannot hold {shapes[0]}")
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return inputs[0]

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return inputs[0]

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        return inputs[0], np.reshape(inputs[0], inputs[1].shape)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        size = prod(layer.shapes[1])
        parameters, arrays = initial_value(layer.constants["initial"])
        return [
            Kernel(
                "portable",
                f"operators/{self.name}.c.j2",
                parameters,
                arrays,
                0,
                6.0 * size,
                state_bytes=size * layer.output.storage_bits // 8,
            )
        ]
