"""Products of two computed matrices, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draws import formats, integers, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.operators.matmul import MatMul

PLAIN = [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 1)), ((2, 1, 1, 3), (1, 4, 3, 2)), ((4, 1, 7), (7, 2))]


def turned(shape: tuple[int, ...], is_so: bool) -> tuple[int, ...]:
    return (*shape[:-2], shape[-1], shape[-2]) if is_so else shape


@given(shapes=st.sampled_from(PLAIN), first=st.booleans(), second=st.booleans(), data=st.data())
def test_float_is_the_product_of_each_pair_of_matrices(shapes, first: bool, second: bool, data: st.DataObject) -> None:
    operator = MatMul(first, second, 0.25)
    stored = [turned(shape, is_so) for shape, is_so in zip(shapes, (first, second), strict=True)]
    inputs = [reals(data.draw, (2, *shape)) for shape in stored]
    found = operator.compute(inputs, {})
    assert found.shape[1:] == operator.output_shape(*stored)
    for sample in range(2):
        a, b = (
            one[sample].swapaxes(-1, -2) if is_so else one[sample]
            for one, is_so in zip(inputs, (first, second), strict=True)
        )
        np.testing.assert_allclose(found[sample], 0.25 * np.matmul(a, b), atol=1e-12)


@given(sources=st.tuples(formats(), formats()), output=formats(zero=False), data=st.data())
def test_channel_steps_are_the_tensor_step_column_by_column(sources, output, data: st.DataObject) -> None:
    shapes = [(2, 3), (3, 4)]
    inputs = [integers(data.draw, source, shape) for source, shape in zip(sources, shapes, strict=True)]
    steps = output.step * np.array([1.0, 0.5, 3.0, 7.0])
    by_column = replace(output, step=steps)
    found = MatMul().compute_integer(inputs, MatMul().lower({}, sources, by_column, shapes), sources, by_column)
    for column, step in enumerate(steps):
        alone = replace(output, step=float(step))
        expected = MatMul().compute_integer(inputs, MatMul().lower({}, sources, alone, shapes), sources, alone)
        np.testing.assert_array_equal(found[..., column], expected[..., column])


@pytest.mark.parametrize(("shapes", "message"), [(((3,), (3, 2)), "two axes"), (((2, 3), (4, 2)), "3 and 4")])
def test_shapes_that_do_not_fit_are_an_error(shapes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MatMul().output_shape(*shapes)
