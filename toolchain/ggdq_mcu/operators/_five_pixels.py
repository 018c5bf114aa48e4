"""How does a matrix product run on a core with dual multiplies? Five pixels against one channel's weights at a time.

Five sums, five input words and the weights fill the registers of a Cortex-M4, and a word of weights serves ten dual
multiplies. Of two neighbouring weights a and b, a halfword 256 a + b needs no unpacking where the input is given as
u = q_0 + 1 and v = 256 (q_1 - 127) - u, which both fit 16 bits for every pair of bytes q_0, q_1:

    (256 a + b) u + b v = 256 (a (q_0 + 1) + b (q_1 - 127))

So one load and one sign extension prepare four weights (27 instructions for 40 products). The price is 8 bits of the sum,
which hold the channel's shift instead. Where a sum needs these bits, the plain form unpacks all weights (15 for 20).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._operator import Routine, integer_clip

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedGraph, QuantizedNode
    from ggdq_mcu.operators._linear import Linear

Array = NDArray[Any]
PIXELS = 5
_SUM_BITS = 23  # magnitude of a sum that leaves room for the shift below and the sign above
_UNROLL = 8


@dataclass(frozen=True, eq=False)
class FivePixels:
    """The weights of a layer in the order of the dot product routine, and what its template has to know.

    ``weights``: uint32 stream, channel by channel; ``words``: words (of four weights) a channel has;
    ``parameters``: for the kernel's template; ``routines``: what the template calls; ``per_channel``: instructions that
    five pixels of one channel take.
    """

    weights: Array
    words: int
    parameters: dict[str, Any]
    routines: tuple[Routine, ...]
    per_channel: int

    @property
    def expanded_bytes(self) -> int:
        """Work memory for the expanded input of five pixels."""
        return self.words * 4 * 2 * PIXELS

    @property
    def per_expansion(self) -> int:
        """Instructions that expanding five pixels takes, apart from rows."""
        return 23 * self.words + 20

    def instructions(self, pixels: int, channels: int, overhead: int) -> int:
        """Estimate for ``pixels`` output pixels, with ``overhead`` instructions to find each five pixels' input."""
        blocks = -(-pixels // PIXELS)
        return blocks * (channels * self.per_channel + self.per_expansion + overhead + 36) + 40


def five_pixels(operator: Linear, node: QuantizedNode, graph: QuantizedGraph) -> FivePixels | None:
    """The layer as five-pixel dot products; None where its formats or its sums do not allow it."""
    source, constants = graph.input_formats(node)[0], node.constants
    if source.storage_bits != 8 or constants["kernel"].dtype != np.int8 or constants["wide"]:
        return None
    columns = operator.by_output(constants["kernel"]).astype(np.int64)
    bias, shift = constants["bias"], constants["shift"]
    packed = _fits_packed(operator, columns, constants, source)
    words = max(-(-columns.shape[0] // 4), 2 if packed else 1)
    columns = np.pad(columns, ((0, 4 * words - columns.shape[0]), (0, 0)))
    weights = _packed(columns, bias, shift, source) if packed else _plain(columns, bias, shift)
    low, high = integer_clip(operator, node.format)
    saturate, bits, clipped = saturation(low, high, node.format)
    sign = "s" if source.signed else "u"
    suffix = f"{sign}8_{saturate}{bits}{'' if packed else '_plain'}"
    storage = node.format.storage_bits
    form = {"packed": packed, "signed": source.signed}
    routines = (
        Routine("routines/five_pixels.c.j2"),
        Routine("routines/expand_five_pixels.c.j2", form),
        Routine(
            "routines/dot_five_pixels.c.j2",
            {"packed": packed, "suffix": suffix, "saturate": saturate, "bits": bits, "storage": storage, "unroll": _UNROLL},
        ),
    )
    first, following, step = _entries(words, packed)
    parameters = {
        "words": words,
        "dot": f"ggdq_dot_five_{suffix}",
        "expand": f"ggdq_expand_five_{sign}8{'' if packed else '_plain'}",
        "first": first,
        "next": following,
        "low": low if clipped else None,
        "high": high if clipped else None,
    }
    passes = -(-(words - (2 if packed else 1)) // (step * _UNROLL))
    per_word = 13.5 if packed else 15
    return FivePixels(weights, words, parameters, routines, round(per_word * words + 3 * passes + 21 + 2 * (not packed)))


def saturation(low: Array | int, high: Array | int, output: Format) -> tuple[str, int, bool]:
    """The saturating instruction, its bits, and whether a narrower clip has to follow, for an output clipped to low..high."""
    if isinstance(low, int) and isinstance(high, int):
        bits = int(high + 1).bit_length() - 1
        if high + 1 == 1 << bits and low in (0, -high - 1):
            return ("usat", bits, False) if low == 0 else ("ssat", bits + 1, False)
    return ("ssat" if output.signed else "usat"), output.bits, True


def _fits_packed(operator: Linear, columns: Array, constants: Any, source: Format) -> bool:
    """Are the sums small enough, and does every pair of weights fit a halfword?"""
    bound = operator.accumulator_bound(constants["kernel"], constants["bias"], source).max(initial=0)
    padded = np.pad(columns, ((0, columns.shape[0] % 2), (0, 0)))
    pairs = 256 * padded[0::2] + padded[1::2]
    return bool(bound < 1 << _SUM_BITS and pairs.min(initial=0) >= -(1 << 15))


def _packed(columns: Array, bias: Array, shift: Array, source: Format) -> Array:
    even, odd = columns[0::2], columns[1::2]
    offset = 128 if source.signed else 0  # the expansion adds it to signed inputs
    constant = bias - ((1 + offset) * even.sum(axis=0)) + (127 - offset) * odd.sum(axis=0)
    first = (constant << 8 & 0xFFFFFFFF) + shift + 8
    pairs = (256 * even + odd).T.astype("<i2")
    return np.column_stack([first.astype(np.uint32), np.ascontiguousarray(pairs).view("<u4")])


def _plain(columns: Array, bias: Array, shift: Array) -> Array:
    words = np.ascontiguousarray(columns.T.astype(np.int8)).view("<u4")
    return np.column_stack([(bias & 0xFFFFFFFF).astype(np.uint32), words, shift.astype(np.uint32)])


def _entries(words: int, packed: bool) -> tuple[int, int, int]:
    """Where the unrolled loop is entered after a channel's first words (table indices), and the words a step takes."""
    step = 2 if packed else 1
    steps, odd = divmod(words - step, step)
    entry = 0 if steps == 0 else (steps - 1) % _UNROLL + 1
    return (_UNROLL + 1 if odd else entry), entry, step
