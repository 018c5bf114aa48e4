"""When may a kernel write its output over its input? From what it still has to read after each of its writes.

A kernel works in steps: it reads, from some byte of the input on, and then writes up to some byte of the output. If the
output begins ``lead`` bytes before the input, byte j of the output lies on byte j - lead of the input, which must not be
needed any more when it is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ggdq_mcu.graph.layer import QuantizedLayer
    from ggdq_mcu.graph.window import Padding, Size

Array = NDArray[Any]


@dataclass(frozen=True)
class Overlap:
    """Output and input may share memory where the output begins ``lead`` bytes or more before the input.

    ``multiple``: the distance must be a multiple of so many bytes.
    """

    lead: int = 0
    multiple: int = 1


def elementwise(layer: QuantizedLayer) -> dict[int, Overlap]:
    """For kernels that read element i of every input before they write element i, in ascending order.

    Inputs that are broadcast are read more than once, so they take no part.
    """
    shape, size = layer.shape, layer.output.storage_bits // 8
    sizes = [source.storage_bits // 8 for source in layer.sources]
    growth = [prod(shape) * max(0, size - other) for other in sizes]
    return {i: Overlap(growth[i]) for i, other in enumerate(layer.shapes) if other == shape}


def pixel_bytes(layer: QuantizedLayer) -> tuple[int, int]:
    """Bytes of a pixel (all channels) of the first input and of the output."""
    source = layer.sources[0].storage_bits // 8 * layer.shapes[0][-1]
    return source, layer.output.storage_bits // 8 * layer.shape[-1]


def first_pixels(
    image: Sequence[int], out: Sequence[int], kernel: Size, strides: Size, padding: Padding, dilation: Size
) -> Array:
    """For each output pixel, in order, the index of the first image pixel that its window reads.

    ``image`` and ``out`` begin with height and width.
    """
    rows = _first_inside(out[0], kernel.height, strides.height, padding.top, dilation.height, image[0])
    columns = _first_inside(out[1], kernel.width, strides.width, padding.left, dilation.width, image[1])
    nothing = image[0] * image[1]  # a window with no pixel inside
    grid = np.where((rows[:, None] < 0) | (columns < 0), nothing, rows[:, None] * image[1] + columns)
    pixels: Array = grid.ravel()
    return pixels


def _first_inside(positions: int, taps: int, stride: int, before: int, dilation: int, size: int) -> Array:
    """First row (or column) inside the image that the window at each position sees; -1 where there is none."""
    seen = np.arange(positions)[:, None] * stride - before + np.arange(taps) * dilation
    inside = (seen >= 0) & (seen < size)
    return np.where(inside.any(axis=1), seen[np.arange(positions), inside.argmax(axis=1)], -1)


def blocks_of_pixels(first: Array, pixel_in: int, pixel_out: int, block: int) -> Overlap:
    """For kernels that read all that ``block`` output pixels need, then write these: pixel sizes in bytes."""
    ends = np.minimum(np.arange(block, len(first) + block, block), len(first))
    needed = np.minimum.reduceat(first, np.arange(0, len(first), block))
    return in_steps(needed * pixel_in, ends * pixel_out)


def single_pixels(first: Array, pixel_in: int, pixel_out: int, element: int) -> Overlap:
    """For kernels that read a pixel's window anew for each of its output elements of ``element`` bytes."""
    ends = np.arange(1, len(first) + 1) * pixel_out
    written = ends - element if pixel_out > element else ends - pixel_out
    return in_steps(first * pixel_in, ends, written)


def channels_of_pixels(first: Array, pixel: int) -> Overlap:
    """For kernels that read, for a pixel's channels one after the other, only the same channel; equal formats."""
    starts = np.arange(len(first)) * pixel
    return in_steps(first * pixel, starts + pixel, starts)


def in_steps(needed: Array, written: Array, during: Array | None = None) -> Overlap:
    """For kernels that work in steps, in bytes.

    ``needed``: first byte that a step reads; ``written``: end of its writes; ``during``: of those before its last read.
    """
    later = np.minimum.accumulate(needed[::-1])[::-1]
    lead = int((written[:-1] - later[1:]).max(initial=0))
    if during is not None:
        lead = max(lead, int((during - later).max(initial=0)))
    return Overlap(lead)
