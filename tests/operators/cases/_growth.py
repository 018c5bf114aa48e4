"""Parts of random networks that several operators share."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

from hypothesis import strategies as st

from ggdq_mcu.graph.window import Padding, Size, extent, same_padding
from operators.cases import Shape

_CLIPS = [(-inf, inf), (-inf, inf), (0.0, inf), (0.0, 6.0), (-1.0, 1.0)]


def clip(draw: Callable) -> dict[str, float]:
    """A fused clip, or none."""
    low, high = draw(st.sampled_from(_CLIPS))
    return {"low": low, "high": high}


def broadcasts(shape: Shape, first: Shape) -> bool:
    """Is a tensor of that shape repeated to the first one's?"""
    return len(shape) <= len(first) and all(a in (b, 1) for a, b in zip(reversed(shape), reversed(first), strict=False))


def window(draw: Callable, shape: Shape, dilated: bool) -> tuple[Size, Size, Size, Padding]:
    """Kernel, strides, dilation and padding that fit an image of that shape."""
    image = Size(*shape[:2])
    kernel = Size(draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = Size(draw(st.integers(1, 2)), draw(st.integers(1, 2))) if dilated else Size(1, 1)
    strides = Size(draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    span = extent(kernel, dilation)
    valid = span.height <= image.height and span.width <= image.width
    choice = draw(st.sampled_from(["same", "any", "valid"] if valid else ["same"]))
    if choice == "same":
        return kernel, strides, dilation, same_padding(image, kernel, strides, dilation)
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4)) if choice == "any" else (0, 0, 0, 0)
    return kernel, strides, dilation, Padding(*padding)


def pool(draw: Callable, kind: Callable[..., Any], shape: Shape) -> Any:
    """Pooling whose every window sees a real pixel, as in Keras."""
    size, strides, _, padding = window(draw, shape, dilated=False)
    sides = (size.height, size.height, size.width, size.width)
    return kind(size, strides, Padding(*(min(edge, side - 1) for edge, side in zip(padding, sides, strict=True))))
