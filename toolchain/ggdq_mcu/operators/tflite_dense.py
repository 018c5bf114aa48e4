"""Fully connected layer in TFLite's arithmetic, for networks that keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ggdq_mcu.operators.dense import Dense, from_tflite
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.tflite_linear import TFLiteLinear, keep
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, around, format_of, renamed


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """FULLY_CONNECTED, weights quantized by channel or by tensor."""
    nodes = [node for node in from_tflite(op) if isinstance(node.operator, Dense | Reshape)]
    product = next(node for node in nodes if isinstance(node.operator, Dense))
    if nodes[-1].name != op.name:
        raise op.error(f"its fused activation {op.activation} cannot be kept", WITHOUT)
    double = op.tensor(1).dtype == np.int8 or not op.micro
    once = not op.micro and op.data.dtype.itemsize == 1
    made = keep(op, TFLiteDense(op.raw(1).shape[0]), np.transpose, double, once=once)
    return around(nodes, format_of(op, op.data), renamed(made, product.name, product.inputs))


@dataclass(frozen=True)
class TFLiteDense(TFLiteLinear, Dense):
    """Dense with TFLite's requantization: q_out = clip(scaled(sum) + z_out), as TFLiteConv2D does it.

    TFLite's kernel for desktops multiplies in double precision and rounds once, half away from zero. The same comes of
    integers: constants ``multiplier`` and ``shift`` of each output channel, found to give the same for every sum that can
    occur (docs/arithmetic.md).
    """

    template: ClassVar[str] = "dense"
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"FULLY_CONNECTED": keep_tflite}
