"""Tensors one behind the other, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from draws import formats, integers, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.concatenate import Concatenate

AXES = st.sampled_from([-1, -2, -3])


def shapes(draw, axis: int, count: int) -> list[tuple[int, ...]]:
    """Shapes that differ along the axis alone."""
    found = []
    for _ in range(count):
        shape = [2, 3, 4]
        shape[axis] = draw(st.integers(1, 4))
        found.append(tuple(shape))
    return found


@given(axis=AXES, data=st.data())
def test_float_is_one_behind_the_other(axis: int, data: st.DataObject) -> None:
    inputs = [reals(data.draw, (2, *shape)) for shape in shapes(data.draw, axis, 3)]
    found = Concatenate(axis).compute(inputs, {})
    np.testing.assert_array_equal(found, np.concatenate(inputs, axis))
    assert found.shape[1:] == Concatenate(axis).output_shape(*(x.shape[1:] for x in inputs))


@given(form=formats(bits=(8,)), data=st.data())
def test_values_of_one_kind_move_unchanged(form: Format, data: st.DataObject) -> None:
    sources = [form, replace(form, step=form.step * np.array([1.0, 2.0, 0.25]))]
    sizes = [(2, 2), (2, 3)]
    q = [integers(data.draw, source, shape) for source, shape in zip(sources, sizes, strict=True)]
    output = Concatenate(-1).moved_format(sources, sizes)
    assert output is not None
    np.testing.assert_allclose(output.step, form.step * np.array([1, 1, 1, 2, 0.25]))
    found = Concatenate(-1).compute_integer(q, Concatenate(-1).lower({}, sources, output, sizes), sources, output)
    np.testing.assert_array_equal(found, np.concatenate(q, -1))


def test_values_of_different_kinds_do_not_move_unchanged() -> None:
    signed, unsigned = Format(8, True, 1.0), Format(8, False, 1.0)
    assert Concatenate(-1).moved_format([signed, unsigned], [(2,), (2,)]) is None
    assert Concatenate(-1).moved_format([signed, replace(signed, zero_point=3)], [(2,), (2,)]) is None
    assert Concatenate(-2).moved_format([signed, signed], [(2, 2), (2, 2)]) is None
    assert Concatenate(-1, low=0.0).moved_format([signed, signed], [(2,), (2,)]) is None


def test_shapes_that_do_not_fit_are_an_error() -> None:
    for wrong in [((2, 3), (3, 3)), ((2, 3), (3,))]:
        with pytest.raises(ValueError, match="cannot concatenate"):
            Concatenate(-1).output_shape(*wrong)
