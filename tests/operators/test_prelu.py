"""Leaky ReLU with trained slopes, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from cases import clipped, formats, integers, real_units, reals
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


@given(slopes=SLOPES, source=formats(), output=formats(), low=st.sampled_from([-np.inf, 0.0]), data=st.data())
def test_integers_are_rounded_products(slopes, source, output, low: float, data: st.DataObject) -> None:
    operator, weights = PReLU(low=low), {"slope": reals(data.draw, slopes)}
    q = integers(data.draw, source, SHAPE)
    constants = operator.lower(weights, [source], output, [SHAPE])
    found = operator.compute_integer([q], constants, [source], output)
    assert found.dtype == output.dtype

    n, centred = int(constants["shift"]), q.astype(np.int64) - source.zero_point
    m = np.where(centred >= 0, constants["positive"], constants["negative"])
    scaled = m.astype(object) * centred + int(constants["offset"])
    np.testing.assert_array_equal(found, clipped(operator, output, np.array(scaled >> n, np.int64)))
    assert np.abs(m).max() < 2**15
    assert np.abs(scaled).max() < 2**31

    bound = 0.5 * np.abs(centred) / 2.0**n
    assert np.all(np.abs(found - real_units(operator, [q], [source], output, **weights)) <= bound + 1.0 + 1e-6)


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
