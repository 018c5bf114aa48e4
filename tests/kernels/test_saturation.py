"""The saturating instruction does a clip exactly, or says that a clip has to follow."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.operator import scalar_clip
from ggdq_mcu.kernels.cortex_m.saturation import saturation
from ggdq_mcu.operators.add import Add


@given(st.booleans(), st.integers(-128, 255), st.integers(-300, 300), st.integers(0, 300))
@example(True, -128, 0, 127)  # the largest output is -1
@example(True, -128, 0, 128)  # and 0
@example(False, 0, 0, 255)
def test_saturation_and_what_follows_are_the_clip(signed: bool, zero: int, low: int, width: int) -> None:
    zero = int(np.clip(zero, -128 if signed else 0, 127 if signed else 255))
    output = Format(8, signed, 1.0, zero)
    operator = Add(low=float(low), high=float(low + width))
    instruction, bits, clipped = saturation(operator, output)
    values = np.arange(-1000, 1000)
    saturated = np.clip(
        values, *((0, 2**bits - 1) if instruction == "usat" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    )
    expected = np.clip(values, *scalar_clip(operator, output))
    assert clipped or np.array_equal(saturated, expected)
    assert np.array_equal(np.clip(saturated, *scalar_clip(operator, output)), expected)
