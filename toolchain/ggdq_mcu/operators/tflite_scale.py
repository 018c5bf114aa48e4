"""Another step for 16- and 32-bit integers in TFLite's arithmetic, with a slope of its own for negative values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.overlap import elementwise
from ggdq_mcu.sources.tflite import CLIPS, TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, SCALED, activation_range, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, formats, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


def keep_wide(op: TFLiteOperator) -> list[Kept]:
    """RELU and its kind, LEAKY_RELU and QUANTIZE, where the input or the output has more than 8 bits."""
    (source,), output = formats(op)
    slope = op.number("Alpha", 0.0) if op.kind == "LEAKY_RELU" else 1.0
    factors = factors_of(op, source, output, slope)
    m, e = multipliers(np.abs(factors))
    most = max(source.high - source.zero_point, source.zero_point - source.low)
    if most << max(int(e.max()), 0) > LARGEST + 1 or (source.bits > 16 and source.zero_point):
        raise op.error("its scaled values may exceed 32 bits, which cannot be kept", WITHOUT)
    low, high = CLIPS.get(op.kind, CLIPS["NONE"])
    limits = activation_range(op.kind if op.kind in CLIPS else "NONE", output)
    constants = {"multiplier": m * np.sign(factors).astype(np.int64), "exponent": e}
    constants |= {key: np.array(value) for key, value in zip(("low", "high"), limits, strict=True)}
    return [kept(op, TFLiteScale(slope, low=low, high=high), constants)]


def factors_of(op: TFLiteOperator, source: Format, output: Format, slope: float) -> list[float]:
    """Factors of values and of negative values, in the precision of TFLite's kernel."""
    precision = np.float64 if op.micro or op.kind == "QUANTIZE" else np.float32
    step = precision(source.step)
    return [float(step / precision(output.step)), float(step * precision(slope) / precision(output.step))]


@dataclass(frozen=True)
class TFLiteScale(Operator):
    """The same value, negative ones times ``slope``, then a clip: with u = q - z_in,

    q_out = clip(scaled(u) + z_out), by the first multiplier and exponent where u >= 0, else by the second;
    constants ``multiplier`` and ``exponent`` (2,), ``low`` and ``high``.
    """

    slope: float = 1.0

    is_elementwise: ClassVar[bool] = True

    def _details(self) -> str:
        return f" slope {self.slope:g}" if self.slope != 1 else ""

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        x = inputs[0]
        return self.clip(np.where(x < 0, self.slope * x, x).astype(x.dtype))

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        u = inputs[0].astype(np.int64) - formats[0].zero_point
        m, e = constants["multiplier"], constants["exponent"]
        q = np.where(u < 0, scaled(u, m[1], e[1]), scaled(u, m[0], e[0])) + output.zero_point
        return np.asarray(np.clip(q, int(constants["low"]), int(constants["high"])).astype(output.dtype))

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        parameters = {key: value.tolist() for key, value in layer.constants.items()}
        cost, overlaps = 30.0 * prod(layer.shape), elementwise(layer)
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, {}, 0, cost, (SCALED,), overlaps)]
