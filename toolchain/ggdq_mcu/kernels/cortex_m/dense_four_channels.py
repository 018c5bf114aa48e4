"""How does a matrix-vector product run on a small core? Four channels share each value of the input.

Nothing is kept but the sums, so no work memory is needed. With dual multiplies 16 instructions do 16 products with
packed weights, 20 with plain ones; with multiply-accumulate 9 do 4; with a multiply alone, 13 do 4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer
from ggdq_mcu.graph.kernel import Routine
from ggdq_mcu.graph.overlap import Overlap, blocks_of_pixels, pixel_bytes, single_pixels
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.cortex_m.packed_weights import PackedWeights, pack_weights
from ggdq_mcu.kernels.cortex_m.saturation import saturation
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.shared.linear import requantization

Array = NDArray[Any]
_CHANNELS = 4
_UNROLL = 4


def four_channels_kernel(operator: Dense, layer: QuantizedLayer, core: Core, raw: bool = False) -> Iterator[Kernel]:
    """The kernel; None where its formats, its sums or the core do not allow it. ``raw``: it stores sums of 32 bits."""
    dual = core.multiplier == "dual"
    weights = pack_weights(operator, layer, dual)
    storage = layer.output.storage_bits
    if weights is None or not core.multiplier or (core.multiplier == "single" and storage > 8):
        return
    shape = layer.shapes[0]
    form = {"accumulate": "bytes", "single": "thumb1"}.get(core.multiplier, "packed" if weights.packed else "plain")
    saturate, bits, clipped = ("raw", 32, False) if raw else saturation(operator, layer.output)
    signed = layer.sources[0].signed
    suffix = f"{'s' if signed else 'u'}8_{form}_{saturate}{bits}{'' if storage == 8 else f'_in_{storage}'}"
    routine = {"form": form, "signed": signed, "suffix": suffix, "saturate": saturate, "bits": bits, "storage": storage}
    arrays, common = requantization(operator, layer)
    parameters = {
        "words": weights.count,
        "padded": shape[-1] % 4 != 0,
        "dot": f"routine_dot_four_{suffix}",
        "corrected": form == "thumb1",
        "first": (weights.count - 1) % _UNROLL if dual else 0,
        "low": common["low"] if clipped else None,
        "high": common["high"] if clipped else None,
    }
    bounds = {key: value for key, value in arrays.items() if clipped and key in ("low", "high")}
    vectors, groups = int(np.prod(shape[:-1])), -(-operator.units // _CHANNELS)
    per_word, per_group = {"packed": (17, 21), "plain": (21, 22), "bytes": (38, 28), "thumb1": (58, 46)}[form]
    yield Kernel(
        "four_channels",
        "operators/dense/four_channels.c.j2",
        parameters,
        {"weights": _by_four(weights, form), **bounds},
        4 * weights.count if parameters["padded"] else 0,
        vectors * (groups * (per_word * weights.count + per_group) + 40),
        (Routine(f"routines/dot_four_{'channels' if dual else 'bytes'}.S.j2", {**routine, "unroll": _UNROLL}),),
        {0: _overlap(layer, shape[-1] % 4 != 0 or operator.units <= _CHANNELS)},
    )


def _overlap(layer: QuantizedLayer, at_once: bool) -> Overlap:
    """``at_once``: a vector is done with before any of its channels are written."""
    vectors = np.arange(int(np.prod(layer.shapes[0][:-1])))
    if at_once:
        return blocks_of_pixels(vectors, *pixel_bytes(layer), 1)
    return single_pixels(vectors, *pixel_bytes(layer), layer.output.storage_bits // 8)


def _by_four(weights: PackedWeights, form: str) -> Array:
    """Four channels together: their biases, weights and shifts; the last four are filled up with zeros."""
    channels = len(weights.bias)
    padding = -channels % _CHANNELS
    words = np.pad(weights.words, ((0, padding), (0, 0))).reshape(-1, _CHANNELS, weights.count)
    if form in ("packed", "plain"):
        words = words.transpose(0, 2, 1)
    else:
        of_bytes = np.ascontiguousarray(words).view(np.uint8).reshape(len(words), _CHANNELS, -1)
        words = np.ascontiguousarray(of_bytes.transpose(0, 2, 1)).view("<u4")
    if form == "thumb1":
        words = words ^ 0x80808080
    bias = np.pad(weights.bias, (0, padding)).reshape(-1, 1, _CHANNELS)
    shift = np.pad(weights.shift, (0, padding)).reshape(-1, 1, _CHANNELS)
    parts = [bias, words.reshape(len(bias), -1, _CHANNELS), *([] if form == "packed" else [shift])]
    return np.concatenate(parts, axis=1).astype(np.uint32).ravel()


KERNELS: Mapping[type[Operator], Offer] = {Dense: four_channels_kernel}
