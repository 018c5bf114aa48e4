"""Means over windows, in floats and in integers."""

from __future__ import annotations

import numpy as np
from draws import Window, positions, reals, windows
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.operators.average_pool2d import AveragePool2D

plain = windows(dilated=False).filter(lambda window: all(seen for _, _, seen in positions(window)))


def means(window: Window, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over each window and how many pixels of the image it sees; padding is not counted."""
    places = list(positions(window))
    total = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, image.shape[3]), image.dtype)
    counts = np.zeros((*total.shape[1:3], 1), np.int64)
    for oy, ox, seen in places:
        for _, _, y, x in seen:
            total[:, oy, ox] += image[:, y, x]
        counts[oy, ox] = len(seen)
    return total, counts


@settings(deadline=None)
@given(window=plain, data=st.data())
def test_float_is_the_mean_of_the_pixels_in_the_image(window: Window, data: st.DataObject) -> None:
    image = reals(data.draw, (2, *window.image, 3))
    total, counts = means(window, image)
    found = AveragePool2D(window.kernel, window.strides, window.padding).compute([image], {})
    np.testing.assert_allclose(found, total / counts, atol=1e-12)
