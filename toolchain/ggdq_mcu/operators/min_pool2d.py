"""Smallest value in a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.shared.pool import onnx_reduced, reduction_of_tflite
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_kept import moving

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """REDUCE_MIN and REDUCE_ALL over constant axes."""
    return reduction_of_tflite(op, MinPool2D)


def from_onnx(op: OnnxOperator) -> Tensor:
    """ReduceMin, over any axes."""
    return onnx_reduced(op, MinPool2D)


@dataclass(frozen=True)
class MinPool2D(MaxPool2D):
    """Minimum over a window that slides over (H, W); padding takes no part. Integers are selected, never changed."""

    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {}
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "REDUCE_ALL": from_tflite,
        "REDUCE_MIN": from_tflite,
    }
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {
        kind: moving(convert) for kind, convert in tflite_operators.items()
    }
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"ReduceMin": from_onnx}

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return self.clip(reduce(np.minimum, self.views(inputs[0], np.inf)))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        smallest: Array = reduce(np.minimum, self.views(inputs[0], output.high))
        return smallest
