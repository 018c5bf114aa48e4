"""How are two maps of bytes added on a core with Helium? Four elements at a time, in lanes of 32 bits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer, Routine
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.dsp.add_words import two_equal_maps_of_bytes
from ggdq_mcu.operators.add import Add


def lanes(operator: Add, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Ten instructions for four elements."""
    if not core.mve or not two_equal_maps_of_bytes(layer):
        return
    (portable,) = operator.kernels(layer)
    first, second = ("s" if source.signed else "u" for source in layer.sources)
    routine = {"first": first, "second": second, "suffix": f"{first}8_{second}8"}
    yield replace(
        portable,
        name="helium",
        template="operators/add/helium.c.j2",
        parameters={**portable.parameters, "suffix": routine["suffix"]},
        instructions=2.5 * int(np.prod(layer.shape)) + 40,
        routines=(Routine("routines/helium_add.S.j2", routine),),
    )


KERNELS: Mapping[type[Operator], Offer] = {Add: lanes}
