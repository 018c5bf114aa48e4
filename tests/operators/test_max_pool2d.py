"""Largest values in windows, in floats and in integers."""

from __future__ import annotations

import numpy as np
from draws import Window, formats, integers, positions, reals, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.max_pool2d import MaxPool2D

plain = windows(dilated=False).filter(lambda window: all(seen for _, _, seen in positions(window)))


def largest(window: Window, image: np.ndarray) -> np.ndarray:
    """Maximum over each window; padding takes no part."""
    places = list(positions(window))
    found = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, image.shape[3]), image.dtype)
    for oy, ox, seen in places:
        found[:, oy, ox] = np.max([image[:, y, x] for _, _, y, x in seen], axis=0)
    return found


@settings(deadline=None)
@given(window=plain, data=st.data())
def test_float_is_the_maximum_of_the_pixels_in_the_image(window: Window, data: st.DataObject) -> None:
    image = reals(data.draw, (2, *window.image, 3)) - 2
    found = MaxPool2D(window.kernel, window.strides, window.padding).compute([image], {})
    np.testing.assert_array_equal(found, largest(window, image))


@settings(deadline=None)
@given(window=plain, form=formats(), data=st.data())
def test_integers_are_selected(window: Window, form, data: st.DataObject) -> None:
    q = integers(data.draw, form, (*window.image, 3))
    found = MaxPool2D(window.kernel, window.strides, window.padding).compute_integer([q], {}, [form], form)
    np.testing.assert_array_equal(found, largest(window, q))
    assert found.dtype == form.dtype
