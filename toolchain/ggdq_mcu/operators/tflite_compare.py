"""Comparison of two tensors in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.operators.compare import FUNCTIONS, MIRRORED, SIGNS
from ggdq_mcu.operators.shared.tflite_operands import TFLiteOperands, keep
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, format_of, of_bytes

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
_SHIFT = 8  # by which operands are brought up


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS and LESS_EQUAL, of two tensors, or of a tensor and a constant."""
    of_bytes(op)
    swapped = op.is_constant(0)
    scales = [float(format_of(op, op.tensor(position)).step) for position in ((1, 0) if swapped else (0, 1))]
    if max(scales) >= 1 or not all(op.tensor(position).quantized for position in (0, 1)):
        raise op.error("compares values of a scale of 1 or more, or without one, which cannot be kept", WITHOUT)
    relation = op.kind.lower()
    relation = MIRRORED.get(relation, relation) if swapped else relation
    m, e = multipliers(scales)
    return keep(op, partial(TFLiteCompare, relation), {"multiplier": m, "exponent": e}, swapped)


@dataclass(frozen=True)
class TFLiteCompare(TFLiteOperands):
    """1 where ``relation`` holds between two tensors, or a tensor and a constant, else 0; shapes are broadcast.

    scaled((q_0 - z_0) << 8) is compared with scaled((q_1 - z_1) << 8); constants ``multiplier`` and ``exponent`` (2,).
    """

    relation: str

    cost = 45
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = dict.fromkeys(
        (relation.upper() for relation in SIGNS), keep_tflite
    )

    def _details(self) -> str:
        return f" {SIGNS[self.relation]}"

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        first, second = self.both(inputs, weights)
        return FUNCTIONS[self.relation](first, second).astype(inputs[0].dtype)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        m, e = constants["multiplier"], constants["exponent"]
        first, second = (scaled(u << _SHIFT, m[i], e[i]) for i, u in enumerate(self.centred(inputs, constants)))
        return FUNCTIONS[self.relation](first, second).astype(output.dtype)

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        (kernel,) = super().kernels(layer)
        return [replace(kernel, parameters={**kernel.parameters, "sign": SIGNS[self.relation]})]
