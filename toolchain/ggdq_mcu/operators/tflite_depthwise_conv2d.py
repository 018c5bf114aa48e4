"""Depthwise convolution with the requantization of TFLite, for networks that keep theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D, from_tflite
from ggdq_mcu.operators.shared.tflite_linear import TFLiteLinear, keep
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """DEPTHWISE_CONV_2D, weights quantized by channel or by tensor."""
    found = from_tflite(op)[-1].operator
    if not isinstance(found, DepthwiseConv2D):
        raise op.error(f"its fused activation {op.activation} cannot be kept", WITHOUT)
    geometry = found.kernel_size, found.multiplier, found.strides, found.padding, found.dilation

    def arranged(filters: Array) -> Array:
        return filters.reshape(*found.kernel_size, -1, found.multiplier)

    return [keep(op, TFLiteDepthwiseConv2D(*geometry), arranged, double=op.tensor(1).dtype == np.int8)]


@dataclass(frozen=True)
class TFLiteDepthwiseConv2D(TFLiteLinear, DepthwiseConv2D):
    """DepthwiseConv2D with TFLite's requantization: q_out = clip(scaled(sum) + z_out), by a multiplier of 31 bits
    and an exponent for each output channel, rounded twice (docs/arithmetic.md).
    """

    template: ClassVar[str] = "depthwise_conv2d"
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"DEPTHWISE_CONV_2D": keep_tflite}
