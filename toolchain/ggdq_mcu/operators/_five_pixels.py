"""How does a matrix product run on a core with dual multiplies? Five pixels against one channel's weights at a time.

Five sums, five input words and the weights fill the registers of a Cortex-M4, and a word of weights serves ten dual
multiplies: 27 instructions for 40 products with packed weights, 15 for 20 with plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._operator import Routine
from ggdq_mcu.operators._packed_weights import pack_weights
from ggdq_mcu.operators._saturation import saturation

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
    from ggdq_mcu.operators._linear import Linear

Array = NDArray[Any]
PIXELS = 5
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

    def instructions(self, pixels: int, channels: int, overhead: int) -> int:
        """Estimate for ``pixels`` output pixels, with ``overhead`` instructions to find each five pixels' input."""
        blocks = -(-pixels // PIXELS)
        return blocks * (channels * self.per_channel + 23 * self.words + overhead + 56) + 40


def five_pixels(operator: Linear, node: QuantizedNode, graph: QuantizedGraph) -> FivePixels | None:
    """The layer as five-pixel dot products; None where its formats or its sums do not allow it."""
    weights = pack_weights(operator, node, graph, least_words=2)
    if weights is None:
        return None
    packed = weights.packed
    saturate, bits, _ = saturation(operator, node.format)
    signed, storage = graph.input_formats(node)[0].signed, node.format.storage_bits
    suffix = f"{'s' if signed else 'u'}8{'' if packed else '_plain'}"
    instructions = {"saturate": saturate, "bits": bits, "storage": storage, "unroll": _UNROLL}
    dot = f"{'packed' if packed else 'plain'}_{saturate}{bits}{'' if storage == 8 else f'_in_{storage}'}"
    routines = (
        Routine("routines/five_pixels.c.j2"),
        Routine("routines/expand_five_pixels.c.j2", {"packed": packed, "signed": signed, "suffix": suffix}),
        Routine("routines/dot_five_pixels.c.j2", {"packed": packed, "suffix": dot, **instructions}),
    )
    step = 2 if packed else 1
    first, following = _entries(weights.count, step)
    parameters = {
        "words": weights.count,
        "dot": f"ggdq_dot_five_{dot}",
        "expand": f"ggdq_expand_five_{suffix}",
        "first": first,
        "next": following,
    }
    shifts = [] if packed else [weights.shift]
    passes = -(-(weights.count - step) // (step * _UNROLL))
    return FivePixels(
        np.column_stack([weights.bias, weights.words, *shifts]),
        weights.count,
        parameters,
        routines,
        round((13.5 if packed else 15) * weights.count + 3 * passes + (21 if packed else 23)),
    )


def _entries(words: int, step: int) -> tuple[int, int]:
    """Where the unrolled loop is entered after a channel's first words (table indices): at once, and after an odd word."""
    steps, odd = divmod(words - step, step)
    entry = 0 if steps == 0 else (steps - 1) % _UNROLL + 1
    return (_UNROLL + 1 if odd else entry), entry
