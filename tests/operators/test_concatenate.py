"""Tensors one behind the other, in floats and in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from cases import clipped, formats, integers, real_units, reals
from hypothesis import given, settings
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


@settings(deadline=None)
@given(
    axis=AXES,
    sources=st.lists(formats(), min_size=2, max_size=3),
    output=formats(),
    low=st.sampled_from([-np.inf, 0.0]),
    data=st.data(),
)
def test_integers_are_rescaled_parts(axis: int, sources, output, low: float, data: st.DataObject) -> None:
    operator, sizes = Concatenate(axis, low=low), shapes(data.draw, axis, len(sources))
    inputs = [integers(data.draw, source, shape) for source, shape in zip(sources, sizes, strict=True)]
    constants = operator.lower({}, sources, output, sizes)
    found = operator.compute_integer(inputs, constants, sources, output)
    assert found.dtype == output.dtype

    parts, bounds = [], []
    for i, (q, source) in enumerate(zip(inputs, sources, strict=True)):
        m, r, n = (int(constants[f"{key}_{i}"][0]) for key in ("multiplier", "offset", "shift"))
        assert m < 2**15
        assert np.abs(q.astype(object) * m + r).max() < 2**31
        parts.append(np.array((q.astype(object) * m + r) >> n, np.int64))
        bounds.append(0.5 * np.abs(q.astype(float) - source.zero_point) / 2.0**n)
    np.testing.assert_array_equal(found, clipped(operator, output, np.concatenate(parts, axis)))
    bound = np.concatenate(bounds, axis)
    assert np.all(np.abs(found - real_units(operator, inputs, sources, output)) <= bound + 1.0 + 1e-6)


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
