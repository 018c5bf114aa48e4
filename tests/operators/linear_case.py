"""What all linear operators have to do in integers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from cases import clipped, formats, integers, real_units, reals
from hypothesis import strategies as st

from ggdq_mcu.operators.shared.linear import Linear

Products = Callable[[np.ndarray, np.ndarray], np.ndarray]
clips = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 6.0), (-1.0, 0.5)])


def check_integers(
    draw: Callable,
    operator: Linear,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    channels: int,
    sums: Products,
) -> None:
    """The integers are the specification's, and near what the float meaning gives.

    ``sums(image, kernel)`` adds up products of one (N, ...) batch where nothing is padded with anything but zero.
    """
    source, output = draw(formats()), draw(formats())
    weights = {"kernel": reals(draw, kernel)}
    if draw(st.booleans()):
        weights["bias"] = reals(draw, (channels,), 3.0)
    q = integers(draw, source, shape)
    length = draw(st.integers(0, 12))
    constants = operator.integers(weights, source, output, np.full(channels, length), 8)
    found = operator.compute_integer([q], constants, [source], output)
    assert found.dtype == output.dtype

    # The specification: zero points and rounding as written there, not as folded into one constant.
    shift, w = constants["shift"], constants["kernel"].astype(object)
    centred = sums(q.astype(object) - source.zero_point, w)
    bias = np.floor(np.asarray(weights.get("bias", np.zeros(channels))) / output.step * 2.0**shift + 0.5)
    half = np.where(shift > 0, 2.0 ** (shift - 1), 0)
    total = centred + np.array([int(b) + int(h) for b, h in zip(bias, half, strict=True)], object)
    expected = np.array(total // np.array([1 << int(s) for s in shift], object), np.float64) + output.zero_point
    np.testing.assert_array_equal(found, clipped(operator, output, expected))

    # Each weight is off by half a unit at most, unless it saturated; the bias and the result too, and the clip's bound.
    real = weights["kernel"] * (source.step / output.step) * 2.0 ** shift[0]
    if np.all(np.abs(real) < 127) and np.all(shift == shift[0]):
        magnitude = sums(np.abs(q.astype(np.float64) - source.zero_point), np.ones(kernel))
        bound = (0.5 * magnitude + 0.5) / 2.0 ** shift[0] + 1.0 + 1e-6
        want = real_units(operator, [q], [source], output, **weights)
        assert np.all(np.abs(found - want) <= bound)
