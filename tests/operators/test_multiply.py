"""Products of tensors, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import clipped, formats, integers, real_units, reals
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.multiply import Multiply

SHAPE = (3, 2, 5)
OTHERS = st.sampled_from([SHAPE, (1, 1, 5), (3, 2, 1), (5,)])


@given(other=OTHERS, data=st.data())
def test_float_is_the_product(other: tuple[int, ...], data: st.DataObject) -> None:
    first, second = reals(data.draw, (2, *SHAPE)), reals(data.draw, (2, *other))
    expected = first * second.reshape(2, *(1,) * (3 - len(other)), *other)
    np.testing.assert_allclose(Multiply().compute([first, second], {}), expected, atol=1e-12)


@settings(deadline=None)
@given(
    first=formats(),
    second=formats(),
    output=formats(),
    other=OTHERS,
    low=st.sampled_from([-np.inf, 0.0]),
    data=st.data(),
)
def test_integers_are_a_rounded_product(first, second, output, other, low: float, data: st.DataObject) -> None:
    operator, shapes = Multiply(low=low), [SHAPE, other]
    inputs = [integers(data.draw, first, SHAPE), integers(data.draw, second, other)]
    constants = operator.lower({}, [first, second], output, shapes)
    found = operator.compute_integer(inputs, constants, [first, second], output)
    assert found.dtype == output.dtype

    m, r, n = (int(constants[key][0]) for key in ("multiplier", "offset", "shift"))
    centred = [q.astype(object) - f.zero_point for q, f in zip(inputs, (first, second), strict=True)]
    product = centred[0] * centred[1].reshape(2, *(1,) * (3 - len(other)), *other)
    scaled = product * m + r
    np.testing.assert_array_equal(found, clipped(operator, output, np.array(scaled >> n, np.int64)))
    assert m < 2**15
    assert np.abs(scaled).max() < 2 ** (31 if max(first.bits, second.bits) == 8 else 62)

    bound = 0.5 * np.abs(product.astype(float)) / 2.0**n
    assert np.all(np.abs(found - real_units(operator, inputs, [first, second], output)) <= bound + 1.0 + 1e-6)


@given(first=formats(bits=(8,)), second=formats(bits=(8,)), output=formats(bits=(8,), zero=False), data=st.data())
def test_channel_steps_are_the_tensor_step_channel_by_channel(first, second, output, data: st.DataObject) -> None:
    steps = first.step * np.array([1.0, 0.5, 3.0, 1e-2, 7.0])
    q = [integers(data.draw, first, SHAPE), integers(data.draw, second, SHAPE)]
    by_channel = [replace(first, step=steps), second]
    constants = Multiply().lower({}, by_channel, output, [SHAPE, SHAPE])
    found = Multiply().compute_integer(q, constants, by_channel, output)
    for channel, step in enumerate(steps):
        alone = [replace(first, step=float(step)), second]
        expected = Multiply().compute_integer(q, Multiply().lower({}, alone, output, [SHAPE, SHAPE]), alone, output)
        np.testing.assert_array_equal(found[..., channel], expected[..., channel])


def test_shapes_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(ValueError, match="cannot broadcast shapes"):
        Multiply().output_shape((3, 2), (2, 3))
