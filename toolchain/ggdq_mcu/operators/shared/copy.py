"""What do the operators share that only move values? A strided view of the input, copied in the order of the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.strides import Loop, element_strides, loops

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


@dataclass(frozen=True)
class Copy(Operator):
    """Base of the operators whose output is a strided view of the input (axes exchanged, cut or repeated)."""

    takes_channel_steps: ClassVar[bool] = True
    keeps_format: ClassVar[bool] = True

    def view(self, batch: Array) -> Array:
        """The output (N, ...) as a NumPy view of the input (N, ...)."""
        raise NotImplementedError

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.view(np.broadcast_to(np.int8(0), (1, *shapes[0]))).shape[1:]

    def moves_nothing(self, shape: Shape) -> bool:
        """Is the output the input, where the input has that shape?"""
        indices = np.arange(prod(shape)).reshape(1, *shape)
        return np.array_equal(self.view(indices), indices)

    def carry_step(self, step: Array, shapes: Sequence[Shape]) -> Array | None:
        channels = self.view(np.broadcast_to(np.arange(shapes[0][-1]), (1, *shapes[0])))
        source = channels.reshape(-1, channels.shape[-1])[0]
        return step[source] if np.all(channels == source) else None

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.view(inputs[0])

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        return self.view(inputs[0])

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (shape,) = layer.shapes
        indices = np.arange(np.prod(shape), dtype=np.int32).reshape(1, *shape)
        view = self.view(indices)[0]
        output = element_strides(np.empty(view.shape, np.int8))
        nest = loops(view.shape, [element_strides(view), output])
        run = nest.pop().turns if nest[-1].steps == (1, 1) else 1
        parameters = {"loops": nest or [Loop(1, (0, 0))], "first": int(view.flat[0]), "run": run}
        cost = int(np.prod(view.shape)) / run * (6.0 + run)
        return [Kernel("portable", "operators/_copy.c.j2", parameters, instructions=cost)]
