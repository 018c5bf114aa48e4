"""How does a 3x3 convolution of stride 1 take 16 multiplies where the direct form takes 36? Exact Winograd F(2x2, 3x3).

A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, equation 8: Y = A' [(G g G') *
(B' d B)] A. With the halves of G moved to A (its outer rows double), everything is an integer: 8-bit weights become
at most 9 * 128 and 8-bit inputs at most 4 * 255 in magnitude, and the result is exactly four times the direct
form's sum, so two more bits of shift give the same integers. Filters are transformed on the fly, once for each
strip of tiles.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer
from ggdq_mcu.graph.kernel import Routine
from ggdq_mcu.graph.overlap import Overlap, in_steps, pixel_bytes
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.cortex_m.saturation import saturation
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.shared.linear import requantization

Array = NDArray[Any]
_STRIPS = (4, 8, 16)  # tiles whose transformed input is kept at a time
_MOST_CHANNELS = 64  # the loop over input channels is unrolled


def winograd_kernels(operator: Conv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Kernels for several sizes of strip, each with its work memory; none where the layer is of another kind."""
    if not core.dsp or not _fits(operator, layer):
        return
    channels, source = layer.shapes[0][2], layer.sources[0]
    out_height, out_width, filters = layer.shape
    saturate, bits, clipped = saturation(operator, layer.output)
    arrays, common = requantization(operator, layer)
    sign = "s" if source.signed else "u"
    suffix = f"{saturate}{bits}"
    dot = {"most_channels": channels, "suffix": suffix, "saturate": saturate, "bits": bits}
    routines = (
        Routine("routines/winograd_weights.S.j2", {"channels": channels, "stride": 2 * channels}, 400),
        Routine("routines/winograd_input.S.j2", {"channels": channels, "stride": 8 * channels, "sign": sign}, 830),
        Routine("routines/winograd_dot.S.j2", dot, 25 * channels - 140, most="most_channels"),
    )
    shift = layer.constants["shift"] + 2
    constants = {"weights": _weights(layer.constants["kernel"]), "bias": (4 * layer.constants["bias"]).astype(np.int32)}
    if common["shift"] is None:
        constants["shift"] = shift.astype(np.uint8)
    constants |= {key: value for key, value in arrays.items() if clipped and key in ("low", "high")}
    tiles = (out_height // 2) * (out_width // 2)
    for strip in (strip for strip in _STRIPS if strip < tiles + 4):
        parameters = {
            "strip": strip,
            "padding_value": common["padding_value"],
            "shift": None if common["shift"] is None else int(shift[0]),
            "low": common["low"] if clipped else None,
            "high": common["high"] if clipped else None,
            "transform_weights": f"routine_winograd_weights_{channels}",
            "transform_input": f"routine_winograd_input_{sign}8_{channels}",
            "dot": f"routine_winograd_dot_{suffix}",
        }
        per_dot = 16 * (21 * channels // 8 + 6) + 250
        per_strip = strip * (60 * channels + 60) + filters * (26 * channels + 30 + strip // 4 * per_dot)
        yield (
            Kernel(
                f"winograd_{strip}",
                "operators/conv2d/winograd.c.j2",
                parameters,
                constants,
                (strip + 1) * 32 * channels,
                -(-tiles // strip) * per_strip,
                routines,
                {0: _overlap(operator, layer, strip)},
                code_bytes=340,
            )
        )


def _overlap(operator: Conv2D, layer: QuantizedLayer, strip: int) -> Overlap:
    """A strip of tiles is read before any of it is written, and needs its 4x4 patches."""
    width, (out_height, out_width, _) = layer.shapes[0][1], layer.shape
    y, x = np.mgrid[0:out_height:2, 0:out_width:2].reshape(2, -1)
    first = np.maximum(y - operator.padding.top, 0) * width + np.maximum(x - operator.padding.left, 0)
    before, after = pixel_bytes(layer)
    starts = np.arange(0, len(first), strip)
    last = np.maximum.reduceat((y + 1) * out_width + x + 2, starts)
    return in_steps(np.minimum.reduceat(first, starts) * before, last * after)


def _fits(operator: Conv2D, layer: QuantizedLayer) -> bool:
    """3x3, stride 1, an even output, 8 bits throughout, channels by eight, and sums with two bits to spare."""
    constants, source = layer.constants, layer.sources[0]
    if not _shaped(operator, layer) or constants["wide"]:
        return False
    if source.storage_bits != 8 or layer.output.storage_bits != 8 or constants["kernel"].dtype != np.int8:
        return False
    bound = operator.accumulator_bound(constants["kernel"], constants["bias"], source)
    return bool(np.all(bound < 1 << 29))


def _shaped(operator: Conv2D, layer: QuantizedLayer) -> bool:
    """3x3, stride 1, an even output, and channels by eight."""
    height, width, _ = layer.shape
    channels = layer.shapes[0][2]
    form = (operator.kernel_size, operator.strides, operator.dilation, operator.groups)
    if form != ((3, 3), (1, 1), (1, 1), 1) or height % 2 or width % 2:
        return False
    return channels % 8 == 0 and channels <= _MOST_CHANNELS


def _weights(kernel: Array) -> Array:
    """Filter by filter, four input channels at a time: rows 0, 2 and 1, tap by tap, four bytes each."""
    rows = kernel[[0, 2, 1]]  # (row, tap, channel, filter)
    grouped = rows.reshape(3, 3, -1, 4, kernel.shape[3]).transpose(4, 2, 0, 1, 3)
    return np.ascontiguousarray(grouped).view("<u4").ravel()


KERNELS: Mapping[type[Operator], Offer] = {Conv2D: winograd_kernels}
