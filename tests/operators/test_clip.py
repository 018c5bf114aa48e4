"""Clips that stand alone, in floats and in integers."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.clip import Clip

bounds = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0), (-1.0, 0.5), (0.25, 3.0)])


def test_float_is_the_clip() -> None:
    np.testing.assert_array_equal(Clip(low=0.0, high=2.0).compute([np.array([[-1.0, 1.0, 3.0]])], {}), [[0, 1, 2]])
