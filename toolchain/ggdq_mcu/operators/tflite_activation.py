"""Functions of one value in TFLite's arithmetic, as tables, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._operator import Kernel
from ggdq_mcu.operators._tflite import CLIPS, TFLiteOperator
from ggdq_mcu.operators._tflite_arithmetic import activation_range, away, multipliers, scaled
from ggdq_mcu.operators._tflite_kept import Kept, formats, kept
from ggdq_mcu.operators.activation import Activation, from_tflite

if TYPE_CHECKING:
    from ggdq_mcu.boards import Core
    from ggdq_mcu.graph import QuantizedGraph, QuantizedNode

Array = NDArray[Any]


def keep_scaled(op: TFLiteOperator) -> list[Kept]:
    """RELU and its kind, LEAKY_RELU, and QUANTIZE from 8 bits to 8 bits."""
    (source,), output = formats(op)
    u = np.arange(source.low, source.high + 1) - source.zero_point
    low, high = activation_range(op.kind if op.kind in CLIPS else "NONE", output)
    bounds = CLIPS.get(op.kind, CLIPS["NONE"])
    operator = TFLiteActivation("linear", low=bounds[0], high=bounds[1])
    precision = np.float64 if op.kind == "QUANTIZE" else np.float32
    values = scaled(u, *multipliers(float(precision(source.step) / precision(output.step))))
    if op.kind == "LEAKY_RELU":
        slope = np.float32(op.number("Alpha", 0.0))
        steep = float(np.float32(source.step) * slope / np.float32(output.step))
        m, e = multipliers(abs(steep))
        values = np.where(u < 0, scaled(u, np.sign(steep).astype(np.int64) * m, e), values)
        operator = TFLiteActivation("leaky_relu", float(slope))
    return [kept(op, operator, {"table": np.clip(values + output.zero_point, low, high).astype(output.dtype)})]


def keep_function(op: TFLiteOperator) -> list[Kept]:
    """LOGISTIC and TANH."""
    (source,), output = formats(op)
    operator = from_tflite(op)[0].operator
    assert isinstance(operator, Activation)
    x = np.float32(source.step) * (np.arange(source.low, source.high + 1) - source.zero_point).astype(np.float32)
    one = np.float32(1)
    with np.errstate(over="ignore"):
        real = one / (one + np.exp(-x)) if op.kind == "LOGISTIC" else np.tanh(x)
    q = away(real * (one / np.float32(output.step))) + output.zero_point
    return [
        kept(
            op, TFLiteActivation(operator.function), {"table": np.clip(q, output.low, output.high).astype(output.dtype)}
        )
    ]


@dataclass(frozen=True)
class TFLiteActivation(Activation):
    """A function of 8-bit values in TFLite's arithmetic: q_out = table[q - low].

    Clips and changes of the step are scaled as everywhere in TFLite; LOGISTIC and TANH are computed in single precision
    and rounded half away from zero.
    """

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        **dict.fromkeys(("RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "LEAKY_RELU", "QUANTIZE"), keep_scaled),
        **dict.fromkeys(("LOGISTIC", "TANH"), keep_function),
    }

    def kernels(self, node: QuantizedNode, graph: QuantizedGraph, core: Core) -> list[Kernel]:
        return [replace(kernel, template="operators/activation.c.j2") for kernel in super().kernels(node, graph, core)]
