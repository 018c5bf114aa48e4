"""Means over windows, in floats and in integers."""

from __future__ import annotations

import numpy as np
from cases import Window, clipped, formats, integers, positions, real_units, reals, windows
from hypothesis import assume, given, settings
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


@settings(deadline=None)
@given(window=plain, source=formats(), output=formats(), low=st.sampled_from([-np.inf, 0.0]), data=st.data())
def test_integers_are_a_rounded_mean(window: Window, source, output, low: float, data: st.DataObject) -> None:
    assume(source.step / output.step < 2**10)
    operator = AveragePool2D(window.kernel, window.strides, window.padding, low=low)
    q = integers(data.draw, source, (*window.image, 3))
    constants = operator.lower({}, [source], output, [(*window.image, 3)])
    found = operator.compute_integer([q], constants, [source], output)
    assert found.dtype == output.dtype
    total, counts = means(window, q.astype(np.int64))
    scaled = total * constants["multiplier"] + constants["offset"]
    np.testing.assert_array_equal(found, clipped(operator, output, scaled >> int(constants["shift"])))
    bound = 0.5 * np.abs(total - counts * source.zero_point) / 2.0 ** int(constants["shift"])
    assert np.all(np.abs(found - real_units(operator, [q], [source], output)) <= bound + 1.0 + 1e-6)
