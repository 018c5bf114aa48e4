"""How does a matrix product run on a small core? Five pixels against one channel's weights at a time.

Five sums, five input values and the weights fill the registers. With dual multiplies (Cortex-M4), a word of weights
serves ten of them: 27 instructions for 40 products with packed weights, 15 for 20 with plain ones. With multiply-
accumulate (Cortex-M3) 7 for 5; with a multiply alone (Cortex-M0+) 12 for 5, as high registers take the sums and one
instruction loads five values. Without dual multiplies the input is expanded to 32 bits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer, Routine
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.overlap import blocks_of_pixels, pixel_bytes
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.cortex_m.packed_weights import PackedWeights, pack_weights
from ggdq_mcu.kernels.cortex_m.saturation import saturation
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.shared.linear import Linear, requantization

Array = NDArray[Any]
PIXELS = 5
_BYTE = (("usat", 8), ("ssat", 8))
# Steps of the loop over products; a step is two words of weights when packed, else one.
_UNROLL = {"packed": 8, "plain": 4, "bytes": 8}
# Instructions for a word of five pixels' products, for a channel of five pixels, for the expansion of a word of each.
_COSTS = {"packed": (13.5, 21, 23), "plain": (15, 23, 23), "bytes": (28, 22, 27), "thumb1": (48, 66, 80)}


@dataclass(frozen=True, eq=False)
class FivePixels:
    """The weights of a layer in the order of the dot product routine, and what its template has to know.

    ``weights``: uint32 stream, channel by channel; ``words``: words (of four weights) a channel has; ``parameters``:
    for the kernel's template; ``routines``: what the template calls; ``per_channel``: instructions that five pixels of
    one channel take; ``per_word``: instructions that expanding a word of each takes.
    """

    weights: Array
    words: int
    parameters: dict[str, Any]
    routines: tuple[Routine, ...]
    per_channel: int
    per_word: int

    def instructions(self, pixels: int, channels: int, overhead: int) -> int:
        """Estimate for ``pixels`` output pixels, with ``overhead`` instructions to find each five pixels' input."""
        blocks = -(-pixels // PIXELS)
        return blocks * (channels * self.per_channel + self.per_word * self.words + overhead + 56) + 40


def five_pixels(operator: Linear, layer: QuantizedLayer, core: Core, raw: bool = False) -> FivePixels | None:
    """The layer as five-pixel dot products; None where its formats, its sums or the core do not allow it.

    ``raw``: the sums are stored as 32-bit numbers, those of a channel together, the last pixel's first.
    """
    dual = core.multiplier == "dual"
    weights = pack_weights(operator, layer, dual, least_words=2 if dual else 1)
    storage = layer.output.storage_bits
    if weights is None or not core.multiplier or (core.multiplier == "single" and (storage > 8 or raw)):
        return None
    form = {"accumulate": "bytes", "single": "thumb1"}.get(core.multiplier, "packed" if weights.packed else "plain")
    saturate, bits = ("raw", 32) if raw else saturation(operator, layer.output)[:2]
    signed = layer.sources[0].signed
    source = f"{'s' if signed else 'u'}8_{form}"
    unroll = _UNROLL[form] if form != "thumb1" else 2 - weights.count % 2
    # The two saturations to a byte share a routine, for networks in which some maps are rectified and others are not.
    both = form != "thumb1" and storage == 8 and bits == 8
    dot = (
        form
        if both
        else f"{form}_{saturate}{bits}{'' if storage == 8 else f'_in_{storage}'}{'_odd' if unroll == 1 else ''}"
    )
    instructions = {
        "form": form,
        "suffix": dot,
        "saturate": saturate,
        "bits": bits,
        "storage": storage,
        "unroll": unroll,
    }
    instructions["saturations"] = _BYTE if both else ((saturate, bits),)
    routines = (
        Routine("routines/five_pixels.c.j2", code_bytes=0),
        Routine(
            f"routines/expand_five_{'pixels' if dual else form}.{'c' if form == 'thumb1' else 'S'}.j2",
            {"packed": weights.packed, "signed": signed, "suffix": source},
        ),
        Routine(f"routines/dot_five_{'thumb1' if form == 'thumb1' else 'pixels'}.S.j2", instructions, 1200),
    )
    step = 2 if form == "packed" else 1
    first, following = _entries(weights.count, step, unroll)
    parameters = {
        "words": weights.count,
        "dot": f"routine_dot_five_{dot}",
        "expand": f"routine_expand_five_{source}",
        "expanded_bytes": weights.count * (40 if dual else 80) + (20 if form == "thumb1" else 0),
        "sums": form == "thumb1",
        "saturation": unroll + 2 + (_BYTE.index((saturate, bits)) if both else 0),
        "first": first,
        "next": following,
    }
    passes = -(-weights.count // (step * unroll))
    per_word, per_channel, per_expansion = _COSTS[form]
    cost = round(per_word * weights.count + 3 * passes + per_channel)
    return FivePixels(_stream(weights, form), weights.count, parameters, routines, cost, per_expansion)


def _stream(weights: PackedWeights, form: str) -> Array:
    """Channel by channel, what the routine reads."""
    if form == "packed":
        return np.column_stack([weights.bias, weights.words])
    if form == "bytes":
        return np.column_stack([weights.bias, weights.shift, weights.words])
    words = weights.words ^ 0x80808080 if form == "thumb1" else weights.words
    return np.column_stack([weights.bias, words, weights.shift])


def _entries(words: int, step: int, unroll: int) -> tuple[int, int]:
    """Where the unrolled loop is entered after a channel's first words (indices): at once, and after an odd word."""
    steps, odd = divmod(words - step, step)
    entry = 0 if steps == 0 else (steps - 1) % unroll + 1
    return (unroll + 1 if odd else entry), entry


class Windows(NamedTuple):
    """How a convolution finds the pixels of five windows: template, its parameters, routines, work memory, costs."""

    template: str
    parameters: dict[str, Any]
    routines: tuple[Routine, ...]
    scratch: int
    overhead: int
    code_bytes: int


def windows(operator: Conv2D, shape: Shape, dots: FivePixels, ending: Mapping[str, Any]) -> Windows:
    """Whole pixels are expanded from where they are; rows of the window likewise, where they are whole words; else the
    windows are copied together first. ``ending``: what the template has to know of how sums end, if not in ``dots``.
    """
    parameters, scratch = dict(dots.parameters), dots.parameters["expanded_bytes"]
    if shape[2] % 4:
        parameters["mode"] = "patches"
        overhead = PIXELS * (20 + operator.kernel_size.height * (12 + operator.kernel_size.width * shape[2] // 2))
        return Windows("five_pixels", parameters, dots.routines, scratch + 4 * dots.words * PIXELS, overhead, 450)
    if operator.kernel_size == operator.strides == (1, 1) and not any(operator.padding):
        parameters["mode"] = "pixels"
        return Windows("five_pixels", parameters, dots.routines, scratch, 45, 160)
    sums = {"sums": parameters["sums"]}
    taps = Routine("routines/windows.c.j2", sums, 0), Routine("routines/convolve_five.c.j2", {**sums, **ending}, 570)
    overhead = 150 + 12 * operator.kernel_size.height
    return Windows("five_taps", parameters, (*dots.routines, *taps), scratch, overhead, 120)


def convolution(operator: Conv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Dot products of five pixels, whose windows are expanded first; None where the formats do not allow it."""
    dots = None if operator.groups > 1 else five_pixels(operator, layer, core)
    if dots is None:
        return
    shape = layer.shapes[0]
    height, width, channels = operator.output_shape(shape)
    arrays, common = requantization(operator, layer)
    clipped = saturation(operator, layer.output).clipped
    found = windows(operator, shape, dots, {})
    parameters = {
        **found.parameters,
        "padding_value": common["padding_value"],
        "low": common["low"] if clipped else None,
        "high": common["high"] if clipped else None,
    }
    bounds = {key: value for key, value in arrays.items() if clipped and key in ("low", "high")}
    yield Kernel(
        "five_pixels",
        f"operators/conv2d/{found.template}.c.j2",
        parameters,
        {"weights": dots.weights, **bounds},
        found.scratch,
        dots.instructions(height * width, channels, found.overhead),
        found.routines,
        {0: blocks_of_pixels(operator.first_pixels(shape), *pixel_bytes(layer), PIXELS)},
        code_bytes=found.code_bytes,
    )


KERNELS: Mapping[type[Operator], Offer] = {Conv2D: convolution}
