"""How does a depthwise convolution run in plain C? Channel by channel, on a copy with the padding around it.

No window crosses an edge then, and the weights of a channel stay in registers, or near.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer
from ggdq_mcu.graph.overlap import Overlap
from ggdq_mcu.graph.window import extent
from ggdq_mcu.kernels import Offer
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.shared.linear import requantization

_PLANE_BYTES = 4096  # work memory that a channel may take
_MOST_TAPS = 25  # taps that are written out


def padded_plane_kernel(operator: DepthwiseConv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """The kernel; None where the sums need 64 bits, the plane too much memory or the window too much code."""
    (height, width, channels), source = layer.shapes[0], layer.sources[0]
    out_height, out_width, filters = layer.shape
    span, padding, strides = extent(operator.kernel_size, operator.dilation), operator.padding, operator.strides
    taps = operator.kernel_size.height * operator.kernel_size.width
    lines = (out_height - 1) * strides.height + span.height
    pitch = (out_width - 1) * strides.width + span.width
    plane_bytes = lines * pitch * source.storage_bits // 8
    if (
        layer.constants["wide"]
        or layer.constants["kernel"].dtype != np.int8
        or taps > _MOST_TAPS
        or plane_bytes > _PLANE_BYTES
    ):
        return
    arrays, parameters = requantization(operator, layer)
    # With much padding and wide strides, no window may see any of the image.
    rows, columns = min(height, lines - padding.top), min(width, pitch - padding.left)
    seen = rows > 0 and columns > 0
    parameters |= {"lines": lines, "pitch": pitch, "rows": rows if seen else 0, "columns": columns if seen else 0}
    arrays = {"weights": np.ascontiguousarray(operator.by_output(layer.constants["kernel"]).T), **arrays}
    cost = channels * (6 * lines * pitch + 20) + filters * (20 + 3 * taps + out_height * out_width * (3.5 * taps + 14))
    # A channel is copied before it is written; the other channels must keep their places.
    unscaled = operator.multiplier == 1 and source.storage_bits == layer.output.storage_bits
    overlaps = {0: Overlap(0, channels * source.storage_bits // 8)} if unscaled else {}
    template = "operators/depthwise_conv2d/padded_plane.c.j2"
    yield Kernel("padded_plane", template, parameters, arrays, plane_bytes, cost, overlaps=overlaps)


KERNELS: Mapping[type[Operator], Offer] = {DepthwiseConv2D: padded_plane_kernel}
