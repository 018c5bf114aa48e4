"""How does a depthwise convolution run on a core with dual multiplies? Channel by channel, two outputs at a time.

A channel is copied into lines of 16-bit numbers. A word then holds two neighbours, and a dual multiply takes two
taps; a tap without a partner takes one half of the word. With three taps and stride 1, two outputs of a line need
two words and four multiplies. The lines run along the image's rows or its columns, whichever wastes less. A
channel's weights are scaled so that all channels share one shift, which then costs nothing: it is part of the
saturating instruction. Where the shifts lie too far apart for that, all sums are 256 times the layer's and each
carries its own shift in its low byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer
from ggdq_mcu.graph.overlap import Overlap, in_steps
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.cortex_m.kept_scaling import kept_layer
from ggdq_mcu.kernels.cortex_m.saturation import saturation
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.shared.linear import requantization
from ggdq_mcu.operators.tflite_depthwise_conv2d import TFLiteDepthwiseConv2D

Array = NDArray[Any]
_PLANE_BYTES = 1536  # work memory that a channel's lines may take before they are cut into strips
_RESIDENT_WORDS = 6  # words of weights that registers can hold
_UNROLL = 5
_RESCALED = 18  # instructions for an output in TFLite's arithmetic
_SHIFT_STEP = 4  # layers whose shifts differ little share code when the common shift is a multiple of this
_LARGEST_SCALE = 7  # log2; an int8 weight scaled by it fits 16 bits


class Product(NamedTuple):
    """A multiply: which output's sum, which half or halves of which loaded word, which word of weights."""

    instruction: str
    output: int
    word: int
    weight: int
    load: int | None


class Load(NamedTuple):
    """One or two input words of a line, and the products that they enter."""

    words: tuple[int, ...]
    products: tuple[Product, ...]


class Line(NamedTuple):
    """What one line of the window contributes to one or two outputs."""

    loads: tuple[Load, ...]


@dataclass(frozen=True)
class _Axis:
    """One direction of the image: sizes of input and output, taps, stride, padding before, strides in elements."""

    size: int
    outputs: int
    taps: int
    stride: int
    before: int
    element_in: int
    element_out: int


def planes_kernel(operator: DepthwiseConv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """The kernel; None where formats, dilation, sums or shifts do not allow it."""
    arrays, requantized = requantization(operator, layer)
    saturate, bits, clipped = saturation(operator, layer.output)
    ending = {
        "saturate": saturate,
        "bits": bits,
        "low": requantized["low"] if clipped else None,
        "high": requantized["high"] if clipped else None,
        "padding_value": requantized["padding_value"],
    }
    bounds = {key: value for key, value in arrays.items() if clipped and key in ("low", "high")}
    yield from _planes(operator, layer, core, ending, bounds)


def kept_planes_kernel(operator: TFLiteDepthwiseConv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """The same in TFLite's arithmetic: the sums of a line are stored as 32-bit numbers, and scaled."""
    kept = kept_layer(operator, layer)
    if kept is None:
        return
    ending = {
        **kept.parameters,
        "saturate": "raw",
        "bits": 32,
        "low": None,
        "high": None,
        "padding_value": layer.sources[0].zero_point,
    }
    for kernel in _planes(operator, kept.plain, core, ending, {"scaling": kept.scaling}):
        yield replace(
            kernel,
            scratch_bytes=kernel.scratch_bytes + 4 * kernel.parameters["line_outputs"],
            instructions=kernel.instructions + _RESCALED * int(np.prod(layer.shape)),
            routines=(kept.routine,),
        )


def _planes(
    operator: DepthwiseConv2D, layer: QuantizedLayer, core: Core, ending: dict[str, Any], bounds: dict[str, Array]
) -> Iterator[Kernel]:
    """``ending``: for the templates, how sums end, with the constants ``bounds``."""
    source, constants = layer.sources[0], layer.constants
    formats_fit = source.storage_bits == 8 and layer.output.storage_bits == 8 and constants["kernel"].dtype == np.int8
    scaling = _scaling(operator, layer)
    if not core.dsp or not formats_fit or operator.dilation != (1, 1) or constants["wide"] or scaling is None:
        return
    rows, columns = _axes(operator, layer.shapes[0])
    variants = [(*_parameters(rows, columns, False), False), (*_parameters(columns, rows, True), True)]
    shape, cost, transposed = min(variants, key=lambda variant: variant[1])
    parameters = {
        **shape,
        **ending,
        "common_shift": scaling.shift,
        "scaled": bool(scaling.scale.any()),
        "element_stored": 4 if ending["saturate"] == "raw" else shape["element_out"],
    }
    weights = operator.by_output(constants["kernel"]).T
    own = {"weights": np.ascontiguousarray(weights), "bias": scaling.bias}
    scales = {"scales": scaling.scale.astype(np.uint8)} if scaling.shift is not None and scaling.scale.any() else {}
    scratch = 2 * shape["plane_lines"] * shape["pitch"] + 4 * (max(shape["weight_words"], _RESIDENT_WORDS) + 1)
    channels = layer.shapes[0][2]
    yield Kernel(
        "planes",
        "operators/depthwise_conv2d/planes.c.j2",
        parameters,
        {**own, **scales, **bounds},
        scratch,
        channels * cost[0] + channels * operator.multiplier * cost[1],
        overlaps=_overlaps(operator, shape, columns, transposed),
        code_bytes=600,
        assembly="operators/depthwise_conv2d/planes_lines.S.j2",
    )


def _overlaps(operator: DepthwiseConv2D, shape: dict[str, Any], columns: _Axis, transposed: bool) -> dict[int, Overlap]:
    """A channel, or a strip of it, is copied before it is written; the other channels must keep their places."""
    channels, strip = columns.element_in, shape["strip_lines"]
    if operator.multiplier > 1:
        return {}
    if shape["strips"] == 1:
        return {0: Overlap(0, channels)}
    if transposed:  # strips of columns: they must stay where they are
        return {0: Overlap(0, columns.size * channels)} if columns.size == columns.outputs else {}
    starts = np.arange(0, shape["line_count"], strip)
    ends = np.minimum(starts + strip, shape["line_count"])
    read = starts * shape["line_stride"] - shape["lines_before"] + shape["shared_lines"]
    read[0] = 0
    lines = in_steps(np.maximum(read, 0) * columns.size * channels, ends * columns.outputs * channels)
    return {0: Overlap(lines.lead, channels)}


class _Scaling(NamedTuple):
    """The shift that all channels share (None: each sum has its own), log2 of the weights' scales, scaled biases."""

    shift: int | None
    scale: Array
    bias: Array


def _scaling(operator: DepthwiseConv2D, layer: QuantizedLayer) -> _Scaling | None:
    """How the channels' weights are scaled so that their sums can share a shift, or carry their own."""
    kernel, bias, shift = layer.constants["kernel"], layer.constants["bias"], layer.constants["shift"]
    bound = operator.accumulator_bound(kernel, bias, layer.sources[0]).astype(object)
    largest, smallest = int(shift.max()), int(shift.min())
    for common in (-(-largest // _SHIFT_STEP) * _SHIFT_STEP, largest):
        scale = common - shift
        if common - smallest <= _LARGEST_SCALE and common <= 31 and np.all(bound << scale < 1 << 31):
            return _Scaling(common, scale, (bias << scale).astype(np.int32))
    if np.all(bound < 1 << 23):
        return _Scaling(None, np.full_like(shift, 8), ((bias << 8) + shift + 8).astype(np.int32))
    return None


def _axes(operator: DepthwiseConv2D, shape: tuple[int, ...]) -> tuple[_Axis, _Axis]:
    """Rows (the vertical direction) and columns."""
    height, width, channels = shape
    out_height, out_width, filters = operator.output_shape(shape)
    kernel, strides, padding = operator.kernel_size, operator.strides, operator.padding
    return (
        _Axis(height, out_height, kernel.height, strides.height, padding.top, width * channels, out_width * filters),
        _Axis(width, out_width, kernel.width, strides.width, padding.left, channels, filters),
    )


def _parameters(across: _Axis, along: _Axis, transposed: bool) -> tuple[dict[str, Any], tuple[float, float]]:
    """Template parameters for lines that run ``along`` one axis, and the cost: (a channel's copy, its outputs)."""
    words = _weight_words(along.taps, along.stride, 2 if along.outputs > 1 else 1)
    pairs, single = divmod(along.outputs, 2)
    programs = {count: _program(along.taps, along.stride, count, words) for count in ((1, 2) if pairs else (1,))}
    ends = {count: 2 * max(load.words[-1] for load in program) + 2 for count, program in programs.items()}
    pitch = max(
        (2 * (pairs - 1) * along.stride + ends[2]) if pairs else 0, (2 * pairs * along.stride + ends[1]) * single
    )
    strip = _strip_lines(across, pitch)
    plane_lines = (strip - 1) * across.stride + across.taps
    weight_words = len(words) * across.taps
    unroll = max((u for u in range(1, _UNROLL + 1) if pairs % u == 0), default=1) if pairs else 1

    def tap(line: int, t: int) -> int:
        return t * across.taps + line if transposed else line * along.taps + t

    lines = {
        count: [
            Line(tuple(_at_line(load, line * len(words)) for load in _with_weight_loads(programs[count])))
            for line in range(across.taps)
        ]
        for count in programs
    }
    parameters = {
        "pitch": pitch,
        "plane_lines": plane_lines,
        "strips": -(-across.outputs // strip),
        "strip_lines": strip,
        "shared_lines": max(across.taps - across.stride, 0),
        "line_count": across.outputs,
        "line_outputs": along.outputs,
        "pairs": pairs,
        "unroll": unroll,
        "line_stride": across.stride,
        "advance_bytes": 4 * along.stride,
        "element_in": along.element_in,
        "line_in": across.element_in,
        "element_out": along.element_out,
        "line_out": across.element_out,
        "lines_before": across.before,
        "elements_before": along.before,
        "input_lines": across.size,
        "gathered_lines": min(across.size, plane_lines - across.before),
        "gathered_elements": min(along.size, pitch - along.before),
        "taps": across.taps * along.taps,
        "words": [(tap(line, a), None if b is None else tap(line, b)) for line in range(across.taps) for a, b in words],
        "weight_words": weight_words,
        "lines": lines,
    }
    per_word = 1 if weight_words <= _RESIDENT_WORDS else 2

    def outputs(count: int) -> float:
        products = sum(len(load.products) for load in programs[count])
        return across.taps * (len(programs[count]) + per_word * products) + 2 * count

    line = (pairs * (outputs(2) + 4 / unroll) if pairs else 0) + single * outputs(1) + 7
    gathered = across.size * (12 + 2.3 * along.size) + (40 if strip < across.outputs else 0)
    return parameters, (gathered + 20, across.outputs * line + 30 + 3.5 * weight_words)


def _strip_lines(across: _Axis, pitch: int) -> int:
    """Output lines of a strip: all of them if their input fits the work memory, else what fits."""
    room = _PLANE_BYTES // (2 * pitch)
    return max(1, min(across.outputs, (room - across.taps) // across.stride + 1))


def _weight_words(taps: int, stride: int, outputs: int) -> list[tuple[int, int | None]]:
    """The pairs of taps that words of weights hold, so that every product finds its own."""
    words: list[tuple[int, int | None]] = []
    singles = []
    for start in {output * stride % 2 for output in range(outputs)}:
        words += [(t, t + 1) for t in range(start, taps - 1, 2) if (t, t + 1) not in words]
        singles += [0] * start + [taps - 1] * ((taps - start) % 2)
    for t in singles:
        if not any(t in word for word in words):
            words.append((t, None))
    return sorted(words)


def _program(taps: int, stride: int, outputs: int, words: list[tuple[int, int | None]]) -> list[Load]:
    """Loads of a line's input words, each with the products that use it, for outputs ``stride`` elements apart."""
    products: dict[int, list[tuple[str, int, int]]] = {}
    for output in range(outputs):
        t = 0
        while t < taps:
            position = output * stride + t
            if position % 2 == 0 and t + 1 < taps:
                products.setdefault(position // 2, []).append(("smlad", output, words.index((t, t + 1))))
                t += 2
                continue
            weight = next(i for i, word in enumerate(words) if t in word)
            half = "b" if words[weight][0] == t else "t"
            products.setdefault(position // 2, []).append((f"smla{'bt'[position % 2]}{half}", output, weight))
            t += 1
    loads: list[Load] = []
    pending = sorted(products)
    while pending:
        together = tuple(pending[:2]) if pending[1:2] == [pending[0] + 1] else (pending[0],)
        pending = pending[len(together) :]
        entries = [
            Product(instruction, output, place, weight, None)
            for place, word in enumerate(together)
            for instruction, output, weight in sorted(products[word], key=lambda entry: entry[2])
        ]
        loads.append(Load(together, tuple(entries)))
    return loads


def _with_weight_loads(program: list[Load]) -> list[Load]:
    """Mark the products before which a word of weights has to be loaded, where they do not stay in registers."""
    result, held = [], None
    for load in program:
        products = []
        for product in load.products:
            products.append(product._replace(load=None if product.weight == held else product.weight))
            held = product.weight
        result.append(load._replace(products=tuple(products)))
    return result


def _at_line(load: Load, first: int) -> Load:
    """The load with the weights of a line whose words begin at ``first``."""
    moved = (
        p._replace(weight=p.weight + first, load=None if p.load is None else p.load + first) for p in load.products
    )
    return load._replace(products=tuple(moved))


KERNELS: Mapping[type[Operator], Offer] = {
    DepthwiseConv2D: planes_kernel,
    TFLiteDepthwiseConv2D: kept_planes_kernel,
}
