"""Leaky ReLU with trained slopes, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from draws import formats, integers, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.prelu import PReLU

SHAPE = (3, 2, 5)
SLOPES = st.sampled_from([SHAPE, (1, 1, 5), (3, 2, 1), (1, 1, 1)])


@given(slopes=SLOPES, data=st.data())
def test_float_scales_what_is_negative(slopes: tuple[int, ...], data: st.DataObject) -> None:
    x, slope = reals(data.draw, (2, *SHAPE)), reals(data.draw, slopes)
    found = PReLU().compute([x], {"slope": slope})
    np.testing.assert_allclose(found, np.maximum(x, 0) + slope * np.minimum(x, 0), atol=1e-12)


@given(source=formats(bits=(8,)), output=formats(bits=(8,), zero=False), data=st.data())
def test_channel_steps_change_only_how_values_are_stored(source, output, data: st.DataObject) -> None:
    weights = {"slope": reals(data.draw, (1, 1, 5))}
    steps = np.array([1.0, 0.5, 2.0, 0.25, 1.5])
    by_channel = [replace(source, step=source.step * steps)]
    q = integers(data.draw, source, SHAPE)
    alike = PReLU().compute_integer([q], PReLU().lower(weights, [source], output, [SHAPE]), [source], output)
    out = replace(output, step=output.step * steps)
    found = PReLU().compute_integer([q], PReLU().lower(weights, by_channel, out, [SHAPE]), by_channel, out)
    np.testing.assert_array_equal(found, alike)
