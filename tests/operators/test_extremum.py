"""Largest and smallest of several tensors, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from cases import clipped, formats, integers, real_units, reals
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.extremum import Extremum

SHAPE = (3, 2, 5)


@given(smallest=st.booleans(), data=st.data())
def test_float_selects_by_element_and_broadcasts(smallest: bool, data: st.DataObject) -> None:
    first, second = reals(data.draw, (2, *SHAPE)), reals(data.draw, (2, 5))
    expected = (np.minimum if smallest else np.maximum)(first, second[:, None, None])
    np.testing.assert_array_equal(Extremum(smallest).compute([first, second], {}), expected)


@settings(deadline=None)
@given(
    sources=st.lists(formats(), min_size=2, max_size=3),
    output=formats(),
    smallest=st.booleans(),
    low=st.sampled_from([-np.inf, 0.0]),
    data=st.data(),
)
def test_integers_are_the_rescaled_extremum(sources, output, smallest: bool, low: float, data: st.DataObject) -> None:
    operator = Extremum(smallest, low=low)
    inputs = [integers(data.draw, source, SHAPE) for source in sources]
    constants = operator.lower({}, sources, output, [SHAPE] * len(sources))
    found = operator.compute_integer(inputs, constants, sources, output)
    assert found.dtype == output.dtype

    m, r, n = constants["multiplier"], constants["offset"], int(constants["shift"])
    scaled = [q.astype(object) * int(a) + int(b) for q, a, b in zip(inputs, m, r, strict=True)]
    chosen = np.array((np.min if smallest else np.max)(np.stack(scaled), axis=0) >> n, np.int64)
    np.testing.assert_array_equal(found, clipped(operator, output, chosen))
    assert all(np.abs(one).max() < 2**31 for one in scaled)

    terms = [0.5 * np.abs(q.astype(float) - f.zero_point) for q, f in zip(inputs, sources, strict=True)]
    bound = np.max(terms, axis=0) / 2.0**n
    assert np.all(np.abs(found - real_units(operator, inputs, sources, output)) <= bound + 1.0 + 1e-6)


def test_one_tensor_has_no_extremum() -> None:
    with pytest.raises(ValueError, match="two tensors"):
        Extremum().output_shape((3, 2))
