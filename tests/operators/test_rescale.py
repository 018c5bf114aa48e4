"""Multipliers and shifts with which integers change their step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format
from ggdq_mcu.operators.shared.rescale import channel_multipliers, multipliers

ratios_of_steps = st.lists(st.integers(-40, 100).map(lambda e: 1.37 * 2.0**e), min_size=1, max_size=3)


@example(ratios=[2.4e6], span=32767, zero_point=0, bits=30)  # a recurrent layer whose output is next to nothing
@example(ratios=[1e30, 1.0], span=255, zero_point=0, bits=30)  # beyond what 64 bits hold
@given(
    ratios=ratios_of_steps,
    span=st.integers(1, 1 << 16),
    zero_point=st.integers(-128, 127),
    bits=st.sampled_from([30, 61]),
)
def test_sums_fit_and_multipliers_are_nearest(ratios: list[float], span: int, zero_point: int, bits: int) -> None:
    output = Format(8, True, 1.0, zero_point)
    together, shift = multipliers(np.array(ratios), span, output, bits)
    alone, shifts = channel_multipliers(np.array(ratios), span, output, bits)
    for found, by in ((together, [shift] * len(ratios)), (alone, shifts.tolist())):
        for ratio, m, n in zip(ratios, found.tolist(), by, strict=True):
            assert 0 <= m < 1 << 15
            assert 0 <= n <= 30
            assert m * span + (abs(zero_point) << n) + (1 << n >> 1) < 1 << (bits + 1)
            capped = m + 1 > min(32767, 2**bits / span - 256)  # the largest that there is
            assert abs(m - ratio * 2.0**n) <= 0.5 or (n == 0 and m < ratio and capped)


def test_each_ratio_alone_has_the_precision_that_fits() -> None:
    m, shifts = channel_multipliers(np.array([1.0, 2.0**-10]), 255, Format(8, True, 1.0))
    assert m.tolist() == [1 << 14, 1 << 14]
    assert shifts.tolist() == [14, 24]


@pytest.mark.parametrize("ratio", [0.0, np.nan])
def test_what_is_no_ratio_is_refused(ratio: float) -> None:
    with pytest.raises(GgdqError, match="step ratio"):
        multipliers(np.array([ratio]), 255, Format(8, True, 1.0))
