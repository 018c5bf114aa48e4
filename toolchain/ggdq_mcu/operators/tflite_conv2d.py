"""Two-dimensional convolution with the requantization of TFLite, for networks that keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.conv2d import Conv2D, from_tflite, tflite_phases
from ggdq_mcu.operators.shared.tflite_linear import TFLiteLinear, keep
from ggdq_mcu.operators.shared.transposed import phase_kernel
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, around, format_of, renamed

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """CONV_2D, weights quantized by channel or by tensor."""
    found = from_tflite(op)[-1].operator
    if not isinstance(found, Conv2D):
        raise op.error(f"its fused activation {op.activation} cannot be kept", WITHOUT)
    geometry = found.kernel_size, found.filters, found.strides, found.padding, found.dilation, found.groups
    return [keep(op, TFLiteConv2D(*geometry), _arranged, double=op.tensor(1).dtype == np.int8)]


def keep_transposed(op: TFLiteOperator) -> list[Kept]:
    """TRANSPOSE_CONV, weights quantized by channel or by tensor; the output has the usual size."""
    nodes = tflite_phases(op)
    first, strides = nodes[0], op.size("StrideH", "StrideW")
    assert isinstance(first.operator, Conv2D)
    operator = TFLiteConv2D(first.operator.kernel_size, first.operator.filters, padding=first.operator.padding)

    def arranged(filters: Array) -> Array:
        return phase_kernel(filters.transpose(1, 2, 0, 3), strides)

    double = op.tensor(1).dtype == np.int8
    made = keep(op, operator, arranged, double, bias=3, phases=strides.height * strides.width)
    return around(nodes, format_of(op, op.data), renamed(made, first.name, first.inputs))


def _arranged(filters: Array) -> Array:
    return np.ascontiguousarray(filters.transpose(1, 2, 3, 0))


@dataclass(frozen=True)
class TFLiteConv2D(TFLiteLinear, Conv2D):
    """Conv2D with TFLite's requantization: q_out = clip(scaled(sum) + z_out), by a multiplier of 31 bits and an exponent
    for each output channel, rounded twice (docs/arithmetic.md).
    """

    template: ClassVar[str] = "conv2d"
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "CONV_2D": keep_tflite,
        "TRANSPOSE_CONV": keep_transposed,
    }
