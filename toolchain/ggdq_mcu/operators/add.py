"""Sum of tensors of one shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._keras import KerasLayer
from ggdq_mcu.operators._operator import Kernel, Operator, Shape, scalar_clip
from ggdq_mcu.operators._rescale import half, multipliers, step_ratio

if TYPE_CHECKING:
    from ggdq_mcu.boards import Core
    from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode

Array = NDArray[Any]



def from_keras(layer: KerasLayer) -> list[Node]:
    """Add, of two tensors or more."""
    return [layer.node(Add())]


@dataclass(frozen=True)
class Add(Operator):
    """Element-wise sum of two or more tensors of the same shape.

    q_out = clip((sum of m_i * q_i + r) >> n); ``multiplier`` (inputs,) holds m, ``offset`` r and ``shift`` n.
    """

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    keeps_profile: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {"Add": from_keras}

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes) < 2 or any(shape != shapes[0] for shape in shapes):
            raise ValueError(f"cannot add shapes {', '.join(map(str, shapes))}")
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(sum(inputs[1:], start=inputs[0]))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        ratios = np.array([step_ratio(source, output) for source in inputs])
        magnitude = sum(r * (max(abs(f.low), f.high) + abs(f.zero_point)) for r, f in zip(ratios, inputs, strict=True))
        m, shift = multipliers(ratios, float(magnitude), output)
        zero = sum(int(mi) * source.zero_point for mi, source in zip(m, inputs, strict=True))
        offset = half(shift) + (output.zero_point << shift) - zero
        return {"multiplier": m, "offset": np.array(offset), "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = constants["offset"] + sum(
            m * value.astype(np.int64) for m, value in zip(constants["multiplier"], inputs, strict=True)
        )
        return np.clip(total >> constants["shift"], *scalar_clip(self, output)).astype(output.dtype)

    def kernels(self, node: QuantizedNode, graph: QuantizedGraph, core: Core) -> list[Kernel]:
        low, high = scalar_clip(self, node.format)
        parameters = {key: value.tolist() for key, value in node.constants.items()} | {"low": low, "high": high}
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters)]
