"""Clips that stand alone, in floats and in integers."""

from __future__ import annotations

import numpy as np
from cases import clipped, formats, integers, real_units
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.clip import Clip

bounds = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0), (-1.0, 0.5), (0.25, 3.0)])


def test_float_is_the_clip() -> None:
    np.testing.assert_array_equal(Clip(low=0.0, high=2.0).compute([np.array([[-1.0, 1.0, 3.0]])], {}), [[0, 1, 2]])


@settings(deadline=None)
@given(source=formats(), output=formats(), bound=bounds, data=st.data())
def test_integers_are_rescaled_and_clipped(source, output, bound: tuple[float, float], data: st.DataObject) -> None:
    assume(source.step / output.step < 2**10)
    operator = Clip(low=bound[0], high=bound[1])
    q = integers(data.draw, source, (4, 3))
    constants = operator.lower({}, [source], output, [(4, 3)])
    found = operator.compute_integer([q], constants, [source], output)
    assert found.dtype == output.dtype
    m, r, n = (int(constants[key]) for key in ("multiplier", "offset", "shift"))
    scaled = np.array((q.astype(object) * m + r) >> n, np.int64)
    np.testing.assert_array_equal(found, clipped(operator, output, scaled))
    error = np.abs(found - real_units(operator, [q], [source], output))
    assert np.all(error <= 0.5 * np.abs(q.astype(float) - source.zero_point) / 2.0**n + 1.0 + 1e-6)
