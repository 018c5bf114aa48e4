"""Mean over a sliding window in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.rows import RowPadding
from ggdq_mcu.operators.average_pool2d import AveragePool2D, from_tflite
from ggdq_mcu.operators.shared.pool import Pool
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, bounds, formats, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """AVERAGE_POOL_2D."""
    sources, output = formats(op)
    if sources != [output]:
        raise op.error("its tensors have different scales, which cannot be kept", WITHOUT)
    found = from_tflite(op)[0].operator
    assert isinstance(found, AveragePool2D)
    fields, constants = bounds(op)
    return [kept(op, TFLiteAveragePool2D(found.pool_size, found.strides, found.padding, **fields), constants)]


@dataclass(frozen=True)
class TFLiteAveragePool2D(AveragePool2D):
    """AveragePool2D in TFLite's arithmetic: q_out = clip(S / count), rounded half away from zero; S is the sum of the
    window's integers, count how many of its pixels are in the image, and the format stays.
    """

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"AVERAGE_POOL_2D": keep_tflite}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = sum(self.views(inputs[0].astype(np.int64), 0))
        counts = self.counts(*inputs[0].shape[1:3])[..., None]
        mean = np.sign(total) * ((np.abs(total) + counts // 2) // counts)
        result: Array = np.clip(mean, int(constants["low"]), int(constants["high"])).astype(output.dtype)
        return result

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return Pool.for_rows(self, axis, rows, padding, constants)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        parameters = {key: int(value) for key, value in layer.constants.items()}
        window = self.pool_size.height * self.pool_size.width
        cost = int(np.prod(layer.shape)) * (5.0 * window + 40)
        overlaps = self.overlaps(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, instructions=cost, overlaps=overlaps)]
