"""Which saturating instruction of a DSP core does a layer's clip?"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ggdq_mcu.graph.operator import Operator, integer_clip

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format


class Saturation(NamedTuple):
    """The instruction ("usat" or "ssat"), its bits, and whether a narrower clip has to follow it."""

    instruction: str
    bits: int
    clipped: bool


def saturation(operator: Operator, output: Format) -> Saturation:
    """The saturation that does the fused clip, or else that of the output's type."""
    low, high = integer_clip(operator, output)
    if isinstance(low, int) and isinstance(high, int) and high > 0:
        bits = (high + 1).bit_length() - 1
        if high + 1 == 1 << bits and low == 0:
            return Saturation("usat", bits, False)
        if high + 1 == 1 << bits and low == -high - 1:
            return Saturation("ssat", bits + 1, False)
    return Saturation("ssat" if output.signed else "usat", output.bits, True)
