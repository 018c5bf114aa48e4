"""Product of two computed matrices in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.operators.matmul import MatMul
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, SCALED, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, formats, kept, of_bytes, signed

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """BATCH_MATMUL, of two tensors."""
    of_bytes(op)
    signed(op)
    if len(op.inputs) != 2:
        raise op.error("its product with a constant cannot be kept", WITHOUT)
    operator = TFLiteMatMul(op.flag("AdjX"), op.flag("AdjY"))
    (first, second), output = formats(op)
    m, e = multipliers(float(first.step) * float(second.step) / float(output.step))
    shapes = [op.tensor(position).inner for position in (0, 1)]
    if operator.products(shapes) * 255**2 << max(int(e), 0) > LARGEST:
        raise op.error("its sums may exceed 32 bits, which cannot be kept", WITHOUT)
    return [kept(op, operator, {"multiplier": np.asarray(m), "exponent": np.asarray(e)})]


@dataclass(frozen=True)
class TFLiteMatMul(MatMul):
    """a @ b of two tensors (..., M, K) and (..., K, N) in TFLite's arithmetic, either of them stored transposed.

    q_out = clip(scaled(sum of (q_a - z_a) * (q_b - z_b)) + z_out); constants ``multiplier`` and ``exponent``.
    """

    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"BATCH_MATMUL": keep_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        total = self.sums(inputs, formats)
        q = scaled(total, constants["multiplier"], constants["exponent"]) + output.zero_point
        return np.asarray(np.clip(q, output.low, output.high).astype(output.dtype))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        parameters, cost = self.geometry(layer)
        parameters |= {key: int(value) for key, value in layer.constants.items()}
        template = f"operators/{self.name}.c.j2"
        return [replace(Kernel("portable", template, parameters, instructions=cost), routines=(SCALED,))]
