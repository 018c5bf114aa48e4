"""Mean over axes in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.rows import RowPadding
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.shared.pool import Pool, reduction_of_tflite
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, SCALED, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, around, formats, of_bytes, quantized

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """MEAN over constant axes."""
    of_bytes(op)
    (source,), output = formats(op)
    nodes = reduction_of_tflite(op, TFLiteMean)
    middle = next(node for node in nodes if isinstance(node.operator, TFLiteMean))
    assert isinstance(middle.operator, TFLiteMean)
    count = middle.operator.pool_size.width
    m, e = multipliers(float(source.step) / float(output.step))
    shift = min(count.bit_length() - 1, 32, 31 + int(e))
    multiplier, exponent = (int(m) << shift) // count, int(e) - shift
    if 255 * count << max(exponent, 0) > LARGEST:
        raise op.error("its sums may exceed 32 bits, which cannot be kept", WITHOUT)
    constants = {"multiplier": np.array(multiplier), "exponent": np.array(exponent)}
    return around(nodes, source, Kept(middle, quantized(middle, constants, output)))


@dataclass(frozen=True)
class TFLiteMean(AveragePool2D):
    """Mean of each row's channels in TFLite's arithmetic: input (rows, W, C), pool 1xW -> output (rows, 1, C).

    q_out = clip(scaled(S - W * z_in) + z_out), S the sum of the W integers; constants ``multiplier`` and ``exponent``, of
    step_in / step_out / W.
    """

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"MEAN": keep_tflite}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = inputs[0].astype(np.int64).sum(axis=2, keepdims=True) - self.pool_size.width * formats[0].zero_point
        q = scaled(total, constants["multiplier"], constants["exponent"]) + output.zero_point
        result: Array = np.clip(q, output.low, output.high).astype(output.dtype)
        return result

    def for_rows(
        self, axis: int, rows: range, padding: RowPadding, constants: Mapping[str, Array]
    ) -> tuple[Operator, Mapping[str, Array]]:
        return Pool.for_rows(self, axis, rows, padding, constants)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        width, outputs = self.pool_size.width, int(np.prod(layer.shape))
        parameters = {key: int(value) for key, value in layer.constants.items()}
        parameters["zero"] = width * layer.sources[0].zero_point
        cost = outputs * (5.0 * width + 35)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, instructions=cost, routines=(SCALED,))]
