"""Random formats, images and windows for the operators' tests, and slow definitions of what they compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size, extent

steps = st.floats(2**-9, 2**2)
sizes = st.builds(Size, st.integers(1, 3), st.integers(1, 3))
paddings = st.builds(Padding, *(st.integers(0, 2) for _ in range(4)))


@st.composite
def formats(draw: Callable, bits: tuple[int, ...] = (8, 16), zero: bool = True) -> Format:
    """Formats as calibration makes them: 8 bits of either sign with any zero point, or 16 signed bits."""
    width = draw(st.sampled_from(bits))
    if width == 16:
        return Format(16, True, draw(steps))
    kind = Format(8, draw(st.booleans()), draw(steps))
    return Format(8, kind.signed, kind.step, draw(st.integers(kind.low, kind.high)) if zero else 0)


def integers(draw: Callable, form: Format, shape: Sequence[int]) -> np.ndarray:
    """A batch of two of random integers of the format, the extremes among them."""
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    values = generator.integers(form.low, form.high + 1, (2, *shape))
    extreme = draw(st.sampled_from([None, form.low, form.high]))
    return np.full_like(values, extreme).astype(form.dtype) if extreme is not None else values.astype(form.dtype)


def reals(draw: Callable, shape: Sequence[int], scale: float = 1.0) -> np.ndarray:
    """Random real numbers."""
    return np.random.default_rng(draw(st.integers(0, 999))).normal(0, scale, tuple(shape))


class Window(NamedTuple):
    """A window over an image: everything but what is done with the pixels."""

    image: Size
    kernel: Size
    strides: Size
    padding: Padding
    dilation: Size


@st.composite
def windows(draw: Callable, dilated: bool = True, padded: bool = True) -> Window:
    """Windows of any shape that fit at least once into the padded image."""
    kernel, strides = draw(sizes), draw(sizes)
    dilation = draw(sizes) if dilated else Size(1, 1)
    padding = draw(paddings) if padded else Padding()
    span = extent(kernel, dilation)
    least = Size(max(span.height - padding.top - padding.bottom, 1), max(span.width - padding.left - padding.right, 1))
    image = Size(least.height + draw(st.integers(0, 3)), least.width + draw(st.integers(0, 3)))
    return Window(image, kernel, strides, padding, dilation)


def positions(window: Window) -> Iterator[tuple[int, int, list[tuple[int, int, int, int]]]]:
    """Every output position and, by kernel row and column, the image's row and column that it sees inside the image."""
    span = extent(window.kernel, window.dilation)
    rows = window.image.height + window.padding.top + window.padding.bottom - span.height
    columns = window.image.width + window.padding.left + window.padding.right - span.width
    for oy, top in enumerate(range(0, rows + 1, window.strides.height)):
        for ox, left in enumerate(range(0, columns + 1, window.strides.width)):
            yield oy, ox, list(_seen(window, top - window.padding.top, left - window.padding.left))


def _seen(window: Window, top: int, left: int) -> Iterator[tuple[int, int, int, int]]:
    for ky in range(window.kernel.height):
        for kx in range(window.kernel.width):
            y, x = top + ky * window.dilation.height, left + kx * window.dilation.width
            if 0 <= y < window.image.height and 0 <= x < window.image.width:
                yield ky, kx, y, x


def clipped(operator: Operator, output: Format, q: np.ndarray) -> np.ndarray:
    """Integers limited to the output's type and to the operator's clip."""
    q = np.clip(q, output.low, output.high)
    for bound, limit in ((operator.low, np.maximum), (operator.high, np.minimum)):
        if np.isfinite(bound):
            nearest = np.floor(bound / np.asarray(output.step) + 0.5) + output.zero_point
            q = limit(q, np.clip(nearest, output.low, output.high).astype(np.int64))
    return q


def real_units(
    operator: Operator, inputs: Sequence[np.ndarray], forms: Sequence[Format], output: Format, **weights: Any
) -> Any:
    """What the float meaning gives for the same inputs, in steps of the output, within what the output can hold."""
    real = operator.compute([form.dequantize(q) for q, form in zip(inputs, forms, strict=True)], weights)
    return np.clip(real / output.step + output.zero_point, output.low, output.high)


@st.composite
def channel_formats(draw: Callable, channels: int) -> Format:
    """Formats of 8 bits with a step for each channel."""
    form = draw(formats((8,)))
    return replace(
        form, step=form.step * np.exp2(np.array(draw(st.lists(st.floats(-3, 3), min_size=channels, max_size=channels))))
    )


def rounded(total: np.ndarray, shift: Any) -> np.ndarray:
    """Integers over 2^shift, to the nearest, halves up."""
    half = np.where(np.asarray(shift) > 0, np.int64(1) << np.maximum(np.asarray(shift) - 1, 0), 0)
    return (np.asarray(total, np.int64) + half) >> np.asarray(shift)


def assert_nearest(found: Any, real: Any) -> None:
    """Integers are the nearest to real numbers; where a real number lies at a half, either neighbour."""
    found, real = np.asarray(found, np.float64), np.asarray(real, np.float64)
    assert np.all(np.abs(found - real) <= 0.5 + 1e-9 * np.maximum(np.abs(real), 1)), (found, real)


def aligned(inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Batches (N, ...), with axes of size 1 put behind the first where they have fewer than the largest."""
    axes = max(one.ndim for one in inputs)
    return [one.reshape(len(one), *(1,) * (axes - one.ndim), *one.shape[1:]) for one in inputs]
