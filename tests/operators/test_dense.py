"""Dense layers against their definition, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import reals
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.dense import Dense

shapes = st.lists(st.integers(1, 4), min_size=0, max_size=2).flatmap(
    lambda rows: st.integers(1, 40).map(lambda columns: (*rows, columns))
)


def sums(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Each output is the sum of the products of the last axis with its column."""
    columns = [(image * kernel[:, unit]).sum(axis=-1) for unit in range(kernel.shape[1])]
    return np.stack(columns, axis=-1)


@settings(deadline=None)
@given(shape=shapes, units=st.integers(1, 7), data=st.data())
def test_float_is_the_definition(shape: tuple[int, ...], units: int, data: st.DataObject) -> None:
    operator = Dense(units)
    image, weights = reals(data.draw, (2, *shape)), {"kernel": reals(data.draw, (shape[-1], units))}
    found = operator.compute([image], weights)
    np.testing.assert_allclose(found, sums(image, weights["kernel"]), atol=1e-12)
    assert found.shape[1:] == operator.output_shape(shape)


def test_macs_are_the_products() -> None:
    assert Dense(5).macs([(3, 7)]) == 3 * 7 * 5


def test_scalar_is_an_error() -> None:
    with pytest.raises(ValueError, match="at least one axis"):
        Dense(5).output_shape(())
