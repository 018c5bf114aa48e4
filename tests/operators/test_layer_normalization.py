"""Layer normalisation, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import formats, integers, real_units, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.layer_normalization import LayerNormalization

ROWS = 3


@given(channels=st.integers(2, 9), data=st.data())
def test_float_has_the_mean_beta_and_the_deviation_gamma(channels: int, data: st.DataObject) -> None:
    x = reals(data.draw, (2, ROWS, channels)) + 3
    gamma, beta = 1.5, -0.25
    weights = {"gamma": np.full(channels, gamma), "beta": np.full(channels, beta)}
    found = LayerNormalization(1e-14).compute([x], weights)
    np.testing.assert_allclose(found.mean(axis=-1), beta, atol=1e-6)
    np.testing.assert_allclose(found.std(axis=-1), gamma, rtol=1e-4)


@given(channels=st.integers(2, 40), source=formats(), output=formats(), centred=st.booleans(), data=st.data())
def test_integers_are_near_the_float_meaning(channels, source, output, centred: bool, data: st.DataObject) -> None:
    operator, weights = LayerNormalization(1e-3, centred), {"gamma": np.ones(channels), "beta": np.zeros(channels)}
    q = integers(data.draw, source, (ROWS, channels))
    constants = operator.lower(weights, [source], output, [(ROWS, channels)])
    found = operator.compute_integer([q], constants, [source], output)
    normal = np.sqrt(channels) / float(output.step)  # the largest value, in steps
    bound = 0.5 + 2.0**-11 / output.step + normal * 2.0**-12 + np.sqrt(channels) * 2.0 ** (10 - constants["shift"][0])
    assert np.all(np.abs(found - real_units(operator, [q], [source], output, **weights)) <= bound + 0.5)


def test_too_many_channels_are_an_error() -> None:
    with pytest.raises(ValueError, match="at most"):
        LayerNormalization(1e-3).output_shape((20000,))
