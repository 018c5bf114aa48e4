"""How are two maps of bytes added on a core with dual multiplies? Four elements at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer, Routine
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.cortex_m.saturation import saturation
from ggdq_mcu.operators.add import Add


def words(operator: Add, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Two multiplies of dual halfwords, a shift and a saturation for each element."""
    if not core.dsp or not two_equal_maps_of_bytes(layer):
        return
    (portable,) = operator.kernels(layer)
    first, second = ("s" if source.signed else "u" for source in layer.sources)
    saturate, bits, clipped = saturation(operator, layer.output)
    shift, (a, b) = portable.parameters["shift"], portable.parameters["multiplier"]
    suffix = f"{first}8_{second}8_{saturate}{bits}_shift{shift}"
    routine: dict[str, Any] = {"first": first, "second": second, "saturate": saturate, "bits": bits}
    routine |= {"shift": shift, "suffix": suffix}
    pair = (a & 0xFFFF) | (b & 0xFFFF) << 16
    yield replace(
        portable,
        name="words",
        template="operators/add/words.c.j2",
        parameters={**portable.parameters, "suffix": suffix, "clipped": clipped, "pair": pair},
        instructions=6 * int(np.prod(layer.shape)) + 40,
        routines=(Routine("routines/add_words.S.j2", routine, 100),),
        code_bytes=30,
    )


def two_equal_maps_of_bytes(layer: QuantizedLayer) -> bool:
    """Are there two inputs of the output's shape, no fewer than four elements, and 8 bits throughout?"""
    formats, first = (layer.output, *layer.sources), layer.shapes[0]
    equal = len(layer.shapes) == 2 and all(shape == first for shape in layer.shapes)
    return equal and int(np.prod(layer.shape)) >= 4 and all(one.storage_bits == 8 for one in formats)


KERNELS: Mapping[type[Operator], Offer] = {Add: words}
