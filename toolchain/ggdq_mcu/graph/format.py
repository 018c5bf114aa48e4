"""How does an integer tensor stand for real values?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import exp, log
from ggdq_mcu.numerics.sums import mean

Step = float | NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Format:
    """Fixed-point format of one tensor: real value = step * (q - zero_point).

    ``step`` is one number for the tensor, or one for each position of the last axis (channel steps, folded into
    the weights on either side, so that no kernel ever sees them). ``zeros``: zero points (C,), int64, of an input whose
    channels have their own, within int32 but not within the type; ``zero_point`` is 0 then.
    """

    bits: int
    signed: bool
    step: Step
    zero_point: int = 0
    zeros: NDArray[np.int64] | None = None

    @property
    def low(self) -> int:
        """Smallest value of q."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest value of q."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def storage_bits(self) -> int:
        """Bits of one element in memory: 8, 16 or 32."""
        return 8 if self.bits <= 8 else 16 if self.bits <= 16 else 32

    @property
    def dtype(self) -> np.dtype[Any]:
        """NumPy type of the stored elements."""
        return np.dtype(f"{'i' if self.signed else 'u'}{self.storage_bits // 8}")

    @property
    def c_type(self) -> str:
        """C type of the stored elements."""
        return f"{'' if self.signed else 'u'}int{self.storage_bits}_t"

    @property
    def short(self) -> str:
        """Name of the integer type in the words of the field: u8, s8, s16, s32."""
        return f"{'s' if self.signed else 'u'}{self.bits}"

    @property
    def per_channel(self) -> bool:
        """Has each channel a step of its own?"""
        return np.ndim(self.step) > 0

    @property
    def mean_step(self) -> float:
        """One number that stands for the step in texts: the step, or the geometric mean of the channels' steps."""
        return float(exp(mean(log(self.step)))) if self.per_channel else float(self.step)

    def quantize(self, real: NDArray[Any]) -> NDArray[Any]:
        """Nearest representable integers (half up), saturated."""
        q = np.floor(np.asarray(real, np.float64) / self.step + 0.5) + self._zero
        integers: NDArray[Any] = np.clip(q, self.low, self.high).astype(self.dtype)
        return integers

    def dequantize(self, q: NDArray[Any]) -> NDArray[np.float64]:
        """Real values of integers."""
        return (q.astype(np.float64) - self._zero) * self.step

    @property
    def _zero(self) -> int | NDArray[np.int64]:
        return self.zero_point if self.zeros is None else self.zeros

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Format)
            and (self.bits, self.signed, self.zero_point) == (other.bits, other.signed, other.zero_point)
            and np.array_equal(self.step, other.step)
            and np.array_equal(self._zero, other._zero)
        )

    __hash__ = None  # type: ignore[assignment]
