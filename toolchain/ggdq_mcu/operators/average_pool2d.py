"""Mean over a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators._keras import KerasLayer
from ggdq_mcu.operators._operator import Kernel, Shape, scalar_clip
from ggdq_mcu.operators._pool import Pool, whole_image, window
from ggdq_mcu.operators._rescale import half, multipliers, step_ratio

if TYPE_CHECKING:
    from ggdq_mcu.boards import Core
    from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode

Array = NDArray[Any]



def from_keras(layer: KerasLayer) -> list[Node]:
    """AveragePooling2D, same or valid."""
    return [layer.node(AveragePool2D(*window(layer)))]


def from_keras_global(layer: KerasLayer) -> list[Node]:
    """GlobalAveragePooling2D: a window of the whole image, then the channels as a vector unless ``keepdims``."""
    return whole_image(layer, AveragePool2D)


@dataclass(frozen=True)
class AveragePool2D(Pool):
    """Mean over a window that slides over (H, W); padding is not counted, as in Keras.

    q_out = clip((m * S + r) >> n), S the sum of the window's integers. ``multiplier`` and ``offset`` (Ho, Wo) hold m and r,
    one for each position since windows at the edge see fewer pixels; ``shift`` is n.
    """

    fuses_clip: ClassVar[bool] = True
    keeps_profile: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "AveragePooling2D": from_keras,
        "GlobalAveragePooling2D": from_keras_global,
    }

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = sum(self.views(inputs[0], 0.0))
        counts = self.counts(*inputs[0].shape[1:3])[..., None]
        return self.clip((total / counts).astype(inputs[0].dtype))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        counts = self.counts(*shapes[0][:2])
        ratio = step_ratio(inputs[0], output)
        largest = max(abs(inputs[0].low), inputs[0].high)
        m, shift = multipliers(ratio / counts, ratio * largest, output, 30 if inputs[0].bits <= 8 else 61)
        offset = half(shift) + (output.zero_point << shift) - m * counts * inputs[0].zero_point
        return {"multiplier": m, "offset": offset, "shift": np.array(shift)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = sum(self.views(inputs[0].astype(np.int64), 0))
        scaled = total * constants["multiplier"][..., None] + constants["offset"][..., None]
        return np.clip(scaled >> constants["shift"], *scalar_clip(self, output)).astype(output.dtype)

    def kernels(self, node: QuantizedNode, graph: QuantizedGraph, core: Core) -> list[Kernel]:
        m, r = node.constants["multiplier"], node.constants["offset"]
        low, high = scalar_clip(self, node.format)
        wide = graph.input_formats(node)[0].bits > 8
        uniform = bool(np.all(m == m.flat[0]))
        parameters: dict[str, Any] = {"shift": int(node.constants["shift"]), "low": low, "high": high, "uniform": uniform}
        parameters |= {"accumulator": "int64_t" if wide else "int32_t", "clip": "ggdq_clip_wide" if wide else "ggdq_clip"}
        arrays: dict[str, Array] = {}
        if uniform:
            parameters |= {"multiplier": int(m.flat[0]), "offset": int(r.flat[0])}
        else:
            arrays = {"multiplier": m.astype(np.int16), "offset": r.astype(np.int64 if wide else np.int32)}
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, arrays)]
