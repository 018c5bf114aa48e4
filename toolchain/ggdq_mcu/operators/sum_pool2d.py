"""Sum over a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.shared.pool import onnx_reduced, reduction_of_tflite
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """SUM over constant axes."""
    return reduction_of_tflite(op, SumPool2D)


def from_onnx(op: OnnxOperator) -> Tensor:
    """ReduceSum, over any axes."""
    return onnx_reduced(op, SumPool2D)


@dataclass(frozen=True)
class SumPool2D(AveragePool2D):
    """Sum over a window that slides over (H, W), without padding.

    q_out = clip((m * S + r) >> n), S the sum of the window's integers; constants ``multiplier`` and ``offset`` (1, 1, C) or
    (1, 1, 1), and ``shift``.
    """

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"SUM": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"ReduceSum": from_onnx}

    @property
    def _weight(self) -> float:
        return float(self.pool_size.height * self.pool_size.width)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = sum(self.views(inputs[0], 0.0))
        return self.clip(np.asarray(total, inputs[0].dtype))
