"""In which form do kernels read 8-bit weights? Packed in pairs that dual multiplies need not unpack, or plain bytes.

Of two neighbouring weights a and b, a halfword 256 a + b needs no unpacking where the input is given as u = q_0 + 1 and
v = 256 (q_1 - 127) - u, which both fit 16 bits for every pair of bytes q_0, q_1:

    (256 a + b) u + b v = 256 (a (q_0 + 1) + b (q_1 - 127))

So one load and one sign extension prepare four weights. The price is 8 bits of the sum, which hold the channel's shift
instead. Where a sum needs these bits, or 256 a + b does not fit (a = -128, b < 0), the plain form unpacks all weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.operators.shared.linear import Linear

Array = NDArray[Any]
_SUM_BITS = 23  # magnitude of a sum that leaves room for the shift below and the sign above


@dataclass(frozen=True, eq=False)
class PackedWeights:
    """A layer's weights, each channel's as 32-bit words: ``words`` (channels, W); ``bias`` and ``shift`` (channels,).

    With ``packed``, ``bias`` carries the shift, and includes what the packing adds.
    """

    packed: bool
    bias: Array
    words: Array
    shift: Array

    @property
    def count(self) -> int:
        """Words a channel has."""
        return int(self.words.shape[1])


def pack_weights(operator: Linear, layer: QuantizedLayer, dual: bool, least_words: int = 1) -> PackedWeights | None:
    """The layer's weights, padded with zeros to whole words; None where its formats or sums do not allow 8-bit kernels.

    Without ``dual`` they are plain.
    """
    source, constants = layer.sources[0], layer.constants
    if source.storage_bits != 8 or constants["kernel"].dtype != np.int8 or constants["wide"]:
        return None
    columns = operator.by_output(constants["kernel"]).astype(np.int64)
    words = max(-(-columns.shape[0] // 4), least_words)
    columns = np.pad(columns, ((0, 4 * words - columns.shape[0]), (0, 0)))
    bias, shift = constants["bias"], constants["shift"]
    pairs = 256 * columns[0::2] + columns[1::2]
    bound = operator.accumulator_bound(constants["kernel"], bias, source).max(initial=0)
    if dual and bound < 1 << _SUM_BITS and pairs.min(initial=0) >= -(1 << 15):
        carried = (_packed_bias(columns, bias, source) << 8 & 0xFFFFFFFF) + shift + 8
        return PackedWeights(True, _uint32(carried), _as_words(pairs.astype("<i2")), _uint32(shift))
    return PackedWeights(False, _uint32(bias), _as_words(columns.astype("<i1")), _uint32(shift))


def _packed_bias(columns: Array, bias: Array, source: Format) -> Array:
    """The bias that makes up for the offsets of the expanded input."""
    offset = 128 if source.signed else 0  # the expansion adds it to signed inputs
    constant: Array = bias - (1 + offset) * columns[0::2].sum(axis=0) + (127 - offset) * columns[1::2].sum(axis=0)
    return constant


def _as_words(columns: Array) -> Array:
    return np.ascontiguousarray(columns.T).view("<u4")


def _uint32(values: Array) -> Array:
    return (values & 0xFFFFFFFF).astype(np.uint32)
