"""Functions of one value: sigmoid, tanh, leaky ReLU and their kind, as tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ggdq_mcu.operators._operator import Operator, Shape

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
_SEGMENTS = 512  # of the 16-bit table, 128 input values each

FUNCTIONS: Mapping[str, Callable[[Array, float], Array]] = {
    "sigmoid": lambda x, _: special.expit(x),
    "tanh": lambda x, _: np.tanh(x),
    "leaky_relu": lambda x, slope: np.where(x < 0, slope * x, x),
    "elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x),
    "selu": lambda x, _: 1.0507009873554805 * np.where(x < 0, 1.6732632423543772 * np.expm1(np.minimum(x, 0)), x),
    "gelu": lambda x, _: 0.5 * x * (1 + special.erf(x / np.sqrt(2))),
    "gelu_tanh": lambda x, _: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    "silu": lambda x, _: x * special.expit(x),
    "softplus": lambda x, _: np.logaddexp(x, 0),
    "softsign": lambda x, _: x / (1 + np.abs(x)),
    "hard_sigmoid": lambda x, _: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x, _: x * np.clip(x / 6 + 0.5, 0, 1),
    "exponential": lambda x, _: np.exp(x),
}


@dataclass(frozen=True)
class Activation(Operator):
    """``function`` (a key of FUNCTIONS) of every value; ``parameter`` is its slope or alpha.

    8 bits: q_out = table[q - low]. 16 bits, with u = q + 32768, i = u >> 7 and t = u & 127:
        q_out = table[i] + (((table[i + 1] - table[i]) * t + 64) >> 7)
    """

    function: str
    parameter: float = 0.0

    def _details(self) -> str:
        return f" {self.function}" + (f" {self.parameter:g}" if self.parameter else "")

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        return FUNCTIONS[self.function](inputs[0], self.parameter).astype(inputs[0].dtype)

    def fixed_format(self, inputs: Sequence[Format], bits: int) -> Format | None:
        kind = type(inputs[0])
        if self.function in ("sigmoid", "hard_sigmoid"):
            return kind(16, True, 2.0**-15) if bits > 8 else kind(8, False, 2.0**-8)
        if self.function in ("tanh", "softsign"):
            return kind(16, True, 2.0**-15) if bits > 8 else kind(8, True, 2.0**-7)
        return None

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        source = inputs[0]
        if source.bits > 8:
            points = np.arange(_SEGMENTS + 1) * (65536 // _SEGMENTS) - 32768
        else:
            points = np.arange(source.low, source.high + 1)
        real = FUNCTIONS[self.function](source.dequantize(points), self.parameter)
        return {"table": output.quantize(real)}

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        q, table = inputs[0].astype(np.int64), constants["table"].astype(np.int64)
        if formats[0].bits <= 8:
            return table[q - formats[0].low].astype(output.dtype)
        position = q + 32768
        index, part = position >> 7, position & 127
        value = table[index] + (((table[index + 1] - table[index]) * part + 64) >> 7)
        return value.astype(output.dtype)
