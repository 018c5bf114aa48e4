"""Fully connected layer in TFLite's arithmetic, for networks that keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.operators.dense import Dense, from_tflite
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.tflite_linear import TFLiteLinear, keep
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, multipliers_once, scaled_once
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, around, format_of, renamed

if TYPE_CHECKING:
    from ggdq_mcu.boards import Core
    from ggdq_mcu.graph import QuantizedGraph, QuantizedNode

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """FULLY_CONNECTED, weights quantized by channel or by tensor."""
    nodes = [node for node in from_tflite(op) if isinstance(node.operator, Dense | Reshape)]
    product = next(node for node in nodes if isinstance(node.operator, Dense))
    if nodes[-1].name != op.name:
        raise op.error(f"its fused activation {op.activation} cannot be kept", WITHOUT)
    made = keep(op, TFLiteDense(op.raw(1).shape[0]), np.transpose, double=True)
    return around(nodes, format_of(op, op.data), renamed(made, product.name, product.inputs))


@dataclass(frozen=True)
class TFLiteDense(TFLiteLinear, Dense):
    """Dense with TFLite's requantization: q_out = clip(sum * factor + z_out), rounded once, half away from zero.

    TFLite multiplies in double precision; the same comes of integers: constants ``multiplier`` and ``shift`` of each output
    channel, found to give the same for every sum that can occur (docs/arithmetic.md).
    """

    template: ClassVar[str] = "dense"
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"FULLY_CONNECTED": keep_tflite}

    def scaling(self, factors: Array, bounds: Array) -> dict[str, Array] | None:
        found = multipliers_once(factors, bounds)
        return None if found is None or bounds.max(initial=0) > LARGEST else {"multiplier": found[0], "shift": found[1]}

    def requantized(self, total: Array, constants: Mapping[str, Array]) -> Array:
        return scaled_once(total, constants["multiplier"], constants["shift"])

    def kernels(self, node: QuantizedNode, graph: QuantizedGraph, core: Core) -> list[Kernel]:
        return [self.portable(node, graph, "scaled_once")]
