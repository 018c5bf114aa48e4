"""How do linear layers run on a core with Helium? Sixteen products of signed bytes an instruction.

Unsigned inputs become signed ones, 128 less, when a window is copied into work memory, or as they are read; the bias
makes up for it. A convolution takes four pixels and two channels at a time: 14 instructions for 128 products; a dense
layer four channels: 10 for 64. A depthwise convolution takes eight channels of a pixel: 6 for 8, of 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer
from ggdq_mcu.graph.kernel import Routine
from ggdq_mcu.graph.overlap import blocks_of_pixels, pixel_bytes, single_pixels
from ggdq_mcu.kernels import Offer
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.shared.linear import Linear, requantization

Array = NDArray[Any]
_VECTOR = 16
_PIXELS = 4
_CHANNELS = 4  # of a dense layer
_LANES = 8  # of 16 bits, channels of a depthwise convolution
_MOST_TAPS = 9  # of one, each with a register of its own


def fits_helium(layer: QuantizedLayer, core: Core) -> bool:
    """Has the core Helium? Are inputs and weights of 8 bits, and sums of 32?"""
    constants = layer.constants
    return (
        core.mve
        and layer.sources[0].storage_bits == 8
        and constants["kernel"].dtype == np.int8
        and not constants["wide"]
    )


def helium_bounds(operator: Linear, layer: QuantizedLayer) -> tuple[dict[str, Any], dict[str, Array]]:
    """The clip: ``least`` and ``most`` for the kernel; bounds that differ by channel, for a pass of their own."""
    arrays, common = requantization(operator, layer)
    bounds = {key: value for key, value in arrays.items() if key in ("low", "high")}
    output = layer.output
    parameters = {
        "least": output.low if common["low"] is None else common["low"],
        "most": output.high if common["high"] is None else common["high"],
        "low": common["low"] if bounds else None,
        "high": common["high"] if bounds else None,
        "padding_value": common["padding_value"],
        "storage": output.storage_bits,
    }
    return parameters, bounds


def helium_columns(operator: Linear, layer: QuantizedLayer, channels: int) -> tuple[Array, Array]:
    """Weights (F, V, 16) int8 and (F, 2) biases and negative shifts int32, filled up to a multiple of ``channels``."""
    constants = layer.constants
    columns = operator.by_output(constants["kernel"]).astype(np.int64).T
    offset = 0 if layer.sources[0].signed else 128
    bias = constants["bias"] + offset * columns.sum(axis=1)
    ends = np.column_stack([bias & 0xFFFFFFFF, -constants["shift"] & 0xFFFFFFFF]).astype(np.uint32)
    rows = -len(columns) % channels
    weights = np.pad(columns.astype(np.int8), ((0, rows), (0, -columns.shape[1] % _VECTOR)))
    return weights.reshape(len(weights), -1, _VECTOR), np.pad(ends, ((0, rows), (0, 0)))


def copy_routine(signed: bool, step: int) -> Routine:
    """What copies a window, to vectors ``step`` bytes apart."""
    suffix = f"{'s' if signed else 'u'}8_{step}"
    return Routine("routines/helium_copy.S.j2", {"flip": not signed, "step": step, "suffix": suffix})


def helium_convolution(operator: Conv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """The kernel of a convolution; None where its formats or sums do not allow it."""
    if operator.groups > 1 or not fits_helium(layer, core):
        return
    shape, signed = layer.shapes[0], layer.sources[0].signed
    height, width, _ = operator.output_shape(shape)
    weights, ends = helium_columns(operator, layer, 2)
    pairs, vectors = len(weights) // 2, weights.shape[1]
    parameters, bounds = helium_bounds(operator, layer)
    copy, patch = copy_routine(signed, _VECTOR * _PIXELS), copy_routine(True, _VECTOR)
    rows, row = operator.kernel_size.height, operator.kernel_size.width * shape[2]
    per_pixel = 40 + rows * (10 + 4 * -(-row // _VECTOR))
    if operator.kernel_size == operator.strides == (1, 1) and not any(operator.padding):
        mode, per_pixel = "pixels", 20 + 4 * vectors
    elif shape[2] % _VECTOR == 0:
        mode = "taps"
    else:
        mode, per_pixel = "patches", per_pixel + 12 + 4 * vectors
    inside = operator.dilation == (1, 1) and all(np.array(shape[:2]) >= operator.kernel_size)
    # Rows that are not whole vectors are put together first; a single row needs no such thing.
    joined = mode == "patches" and inside and rows > 1 and row % _VECTOR != 0
    by_pair = weights.reshape(pairs, 2, vectors, _VECTOR).transpose(0, 2, 1, 3)
    stream = [np.ascontiguousarray(by_pair).reshape(pairs, -1).view("<u4"), ends.reshape(pairs, 4)]
    parameters |= {
        "mode": mode,
        "vectors": vectors,
        "inside": inside,
        "joined": joined,
        "copy": f"routine_helium_copy_{copy.parameters['suffix']}",
        "copy_patch": f"routine_helium_copy_{patch.parameters['suffix']}",
    }
    blocks = -(-height * width // _PIXELS)
    dot = Routine("routines/helium_dot_pixels.S.j2", {"storage": layer.output.storage_bits})
    yield Kernel(
        "helium",
        "operators/conv2d/helium.c.j2",
        parameters,
        {"weights": np.concatenate(stream, axis=1).ravel(), **bounds},
        _VECTOR * vectors * (_PIXELS + (mode == "patches")),
        blocks * (pairs * (24 + 15 * vectors) + _PIXELS * per_pixel + 50),
        (Routine("routines/helium_block.c.j2"), copy, *([patch] if joined else []), dot),
        {0: blocks_of_pixels(operator.first_pixels(shape), *pixel_bytes(layer), _PIXELS)},
    )


def helium_dense(operator: Dense, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """The kernel of a dense layer; None where its formats or sums do not allow it."""
    if not fits_helium(layer, core):
        return
    shape, signed = layer.shapes[0], layer.sources[0].signed
    weights, ends = helium_columns(operator, layer, _CHANNELS)
    groups, vectors = len(weights) // _CHANNELS, weights.shape[1]
    parameters, bounds = helium_bounds(operator, layer)
    # Whole vectors are read where they are.
    copy = copy_routine(signed, _VECTOR) if shape[-1] % _VECTOR else None
    flip = not signed and copy is None
    by_group = weights.reshape(groups, _CHANNELS, vectors, _VECTOR).transpose(0, 2, 1, 3)
    constants = ends.reshape(groups, _CHANNELS, 2).transpose(0, 2, 1).reshape(groups, -1)
    stream = [np.ascontiguousarray(by_group).reshape(groups, -1).view("<u4"), constants]
    suffix = f"{'u8_' if flip else ''}{layer.output.storage_bits}"
    instructions = {"storage": layer.output.storage_bits, "flip": flip, "suffix": suffix}
    dot = Routine("routines/helium_dot_channels.S.j2", instructions)
    parameters |= {
        "vectors": vectors,
        "dot": suffix,
        "copy": f"routine_helium_copy_{copy.parameters['suffix']}" if copy else "",
    }
    count, sizes = int(np.prod(shape[:-1])), pixel_bytes(layer)
    at_once = copy is not None or groups == 1
    overlap = (
        blocks_of_pixels(np.arange(count), *sizes, 1)
        if at_once
        else single_pixels(np.arange(count), *sizes, layer.output.storage_bits // 8)
    )
    yield Kernel(
        "helium",
        "operators/dense/helium.c.j2",
        parameters,
        {"weights": np.concatenate(stream, axis=1).ravel(), **bounds},
        _VECTOR * vectors if copy else 0,
        count * (groups * (15 + (10 + flip) * vectors) + 4 * vectors * (copy is not None) + 60),
        (*((copy,) if copy else ()), dot),
        {0: overlap},
    )


def helium_depthwise(operator: DepthwiseConv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """The kernel of a depthwise convolution; None where formats, sums or channels do not allow it, or taps are many."""
    shape, constants = layer.shapes[0], layer.constants
    taps, channels = operator.kernel_size.height * operator.kernel_size.width, shape[2]
    if not fits_helium(layer, core) or operator.multiplier > 1 or channels % _LANES or taps > _MOST_TAPS:
        return
    parameters, bounds = helium_bounds(operator, layer)
    signed, blocks = layer.sources[0].signed, channels // _LANES
    weights = operator.by_output(constants["kernel"]).reshape(taps, blocks, _LANES).transpose(1, 0, 2)
    ends = [_even_and_odd(values, blocks) for values in (constants["bias"], -constants["shift"])]
    stream = [np.ascontiguousarray(weights).reshape(blocks, -1).view("<u4"), *ends]
    suffix = f"{taps}_{'s' if signed else 'u'}8_{layer.output.storage_bits}"
    instructions = {"taps": taps, "signed": signed, "storage": layer.output.storage_bits, "suffix": suffix}
    pixels = int(np.prod(layer.shape[:2]))
    yield Kernel(
        "helium",
        "operators/depthwise_conv2d/helium.c.j2",
        {**parameters, "suffix": suffix},
        {"weights": np.concatenate(stream, axis=1).ravel(), **bounds},
        0,
        pixels * (blocks * (6 * taps + 2 * max(0, taps - 6) + 13) + 4 * taps + 30),
        (Routine("routines/helium_depthwise.S.j2", instructions),),
        {0: operator.portable_overlap(layer)},
    )


def _even_and_odd(values: Array, blocks: int) -> Array:
    """Values (C,) as (blocks, 8) uint32: of each eight channels first the even, then the odd ones."""
    halves = (values & 0xFFFFFFFF).astype(np.uint32).reshape(blocks, _LANES // 2, 2).transpose(0, 2, 1)
    return np.ascontiguousarray(halves).reshape(blocks, _LANES)


KERNELS: Mapping[type[Operator], Offer] = {
    Conv2D: helium_convolution,
    Dense: helium_dense,
    DepthwiseConv2D: helium_depthwise,
}
