"""How does a matrix-vector product run on a core with dual multiplies? Four channels share each expanded word of input.

Nothing is kept but the sums, so no work memory is needed: 16 instructions for 16 products with packed weights, 20 with
plain ones.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._linear import requantization
from ggdq_mcu.operators._operator import Kernel, Routine
from ggdq_mcu.operators._packed_weights import PackedWeights, pack_weights
from ggdq_mcu.operators._saturation import saturation

if TYPE_CHECKING:
    from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
    from ggdq_mcu.operators.dense import Dense

Array = NDArray[Any]
_CHANNELS = 4
_UNROLL = 4


def four_channels_kernel(operator: Dense, node: QuantizedNode, graph: QuantizedGraph) -> Kernel | None:
    """The kernel; None where its formats or its sums do not allow it."""
    weights = pack_weights(operator, node, graph, dual=True)
    if weights is None:
        return None
    shape = graph.input_shapes(node)[0]
    saturate, bits, clipped = saturation(operator, node.format)
    signed, storage = graph.input_formats(node)[0].signed, node.format.storage_bits
    form = "packed" if weights.packed else "plain"
    suffix = f"{'s' if signed else 'u'}8_{form}_{saturate}{bits}{'' if storage == 8 else f'_in_{storage}'}"
    routine = {"packed": weights.packed, "signed": signed, "suffix": suffix, "saturate": saturate, "bits": bits}
    arrays, common = requantization(operator, node, graph)
    parameters = {
        "words": weights.count,
        "padded": shape[-1] % 4 != 0,
        "dot": f"ggdq_dot_four_{suffix}",
        "first": (weights.count - 1) % _UNROLL,
        "low": common["low"] if clipped else None,
        "high": common["high"] if clipped else None,
    }
    bounds = {key: value for key, value in arrays.items() if clipped and key in ("low", "high")}
    vectors = int(np.prod(shape[:-1]))
    groups = -(-operator.units // _CHANNELS)
    per_group = (16 if weights.packed else 20) * weights.count + 3 * -(-weights.count // _UNROLL) + 21
    return Kernel(
        "four_channels",
        "operators/dense/four_channels.c.j2",
        parameters,
        {"weights": _by_four(weights), **bounds},
        4 * weights.count if parameters["padded"] else 0,
        vectors * (groups * per_group + 40),
        (Routine("routines/dot_four_channels.c.j2", {**routine, "storage": storage, "unroll": _UNROLL}),),
    )


def _by_four(weights: PackedWeights) -> Array:
    """Four channels together: their biases, words and shifts; the last four are filled up with zeros."""
    columns = [weights.bias[:, None], weights.words, *([] if weights.packed else [weights.shift[:, None]])]
    stream = np.concatenate(columns, axis=1)
    stream = np.pad(stream, ((0, -len(stream) % _CHANNELS), (0, 0)))
    return stream.reshape(-1, _CHANNELS, stream.shape[1]).transpose(0, 2, 1).ravel()
