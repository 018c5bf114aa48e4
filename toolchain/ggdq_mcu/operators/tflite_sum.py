"""Sum over axes in TFLite's arithmetic, for networks that keep it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.shared.pool import reduction_of_tflite
from ggdq_mcu.operators.tflite_mean import TFLiteMean
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, multipliers
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, around, formats, of_bytes, quantized

Array = NDArray[Any]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """SUM over constant axes."""
    of_bytes(op)
    if not op.micro:
        raise op.error("TensorFlow Lite's reference kernel of it ignores the scales, which cannot be kept", WITHOUT)
    (source,), output = formats(op)
    nodes = reduction_of_tflite(op, TFLiteSum)
    middle = next(node for node in nodes if isinstance(node.operator, TFLiteSum))
    assert isinstance(middle.operator, TFLiteSum)
    m, e = multipliers(float(source.step) / float(output.step))
    if 255 * middle.operator.pool_size.width << max(int(e), 0) > LARGEST:
        raise op.error("its sums may exceed 32 bits, which cannot be kept", WITHOUT)
    constants = {"multiplier": np.asarray(m), "exponent": np.asarray(e)}
    return around(nodes, source, Kept(middle, quantized(middle, constants, output)))


@dataclass(frozen=True)
class TFLiteSum(TFLiteMean):
    """Sum of each row's channels in TFLite's arithmetic: input (rows, W, C), pool 1xW -> output (rows, 1, C).

    q_out = clip(scaled(S - W * z_in) + z_out), S the sum of the W integers; constants ``multiplier`` and ``exponent``, of
    step_in / step_out.
    """

    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"SUM": keep_tflite}

    def compute(self, inputs: Any, weights: Mapping[str, Array]) -> Array:
        return self.clip(np.asarray(sum(self.views(inputs[0], 0.0)), inputs[0].dtype))
