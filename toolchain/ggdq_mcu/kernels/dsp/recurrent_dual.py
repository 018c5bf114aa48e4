"""How do recurrent layers run on a core with dual multiplies? Four products of a gate share a word of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer, Routine
from ggdq_mcu.kernels import Offer
from ggdq_mcu.operators.gru import GRU
from ggdq_mcu.operators.lstm import LSTM
from ggdq_mcu.operators.shared.recurrent import Recurrent
from ggdq_mcu.operators.simple_rnn import SimpleRNN

Array = NDArray[Any]


def dual(operator: Recurrent, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Of 8-bit weights whose sums fit 32 bits."""
    constants, source = layer.constants, layer.sources[0]
    narrow = constants["kernel"].dtype == constants["recurrent"].dtype == np.int8
    if not core.dsp or constants["wide"] or not narrow:
        return
    (portable,) = operator.kernels(layer)
    arrays = dict(portable.arrays)
    values = "s16" if source.storage_bits == 16 else f"{'s' if source.signed else 'u'}8"
    routines = list(portable.routines)
    for suffix, gates in operator.blocks().items():
        arrays["kernel" + suffix] = _in_fours(arrays["kernel" + suffix], values == "s16")
        arrays["recurrent" + suffix] = _in_fours(arrays["recurrent" + suffix], True)
        for form in (values, "s16"):
            parameters = {"gates": len(gates), "values": form, "suffix": f"{len(gates)}_{form}"}
            routines.append(Routine("routines/dot_gates.S.j2", parameters, 60 + 20 * len(gates)))
    yield replace(
        portable,
        name="dual",
        template=f"operators/{operator.name}/dual.c.j2",
        parameters={**portable.parameters, "dual": True},
        arrays=arrays,
        instructions=operator.instructions(layer.shapes[0], (5 + 5 / operator.gates) / 4),
        routines=tuple(routines),
    )


def _in_fours(rows: Array, halves: bool) -> Array:
    """Rows (units, K, gates) as dual multiplies read them: four products of a gate in a word, those beyond as they are.

    Each unit's row is filled up to whole words.

    The word's bytes 0 and 2 meet the first two values, where these are ``halves`` of words, else values 0 and 2 of bytes.
    """
    units, products, gates = rows.shape
    four = products // 4 * 4
    words = rows[:, :four].reshape(units, -1, 4, gates).transpose(0, 1, 3, 2)
    words = words[..., [0, 2, 1, 3]] if halves else words
    rest = rows[:, four:].reshape(units, -1)
    return np.concatenate([words.reshape(units, -1), np.pad(rest, ((0, 0), (0, -rest.shape[1] % 4)))], axis=1)


KERNELS: Mapping[type[Operator], Offer] = {GRU: dual, LSTM: dual, SimpleRNN: dual}
