"""How do pools of bytes run on a core with dual multiplies? Four channels of a pixel at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer
from ggdq_mcu.kernels import Offer
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.shared.pool import Pool

_WINDOW_OF_WORDS = 256  # pixels whose 8-bit values add up in 16 bits


def average(operator: AveragePool2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Sums of two channels share a word."""
    window = operator.pool_size.height * operator.pool_size.width
    if core.dsp and layer.sources[0].bits <= 8 and layer.shape[2] % 4 == 0 and window <= _WINDOW_OF_WORDS:
        yield _words(operator, layer, 1.4 * window + 14)


def maximum(operator: MaxPool2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """A subtraction of four bytes, and a selection by its signs."""
    if core.dsp and layer.output.storage_bits == 8 and layer.shape[2] % 4 == 0:
        yield _words(operator, layer, 1.8 * operator.pool_size.height * operator.pool_size.width + 4)


def _words(operator: Pool, layer: QuantizedLayer, cost: float) -> Kernel:
    (portable,) = operator.kernels(layer)
    template = f"operators/{operator.name}/words.c.j2"
    return replace(portable, name="words", template=template, instructions=int(np.prod(layer.shape)) * cost)


KERNELS: Mapping[type[Operator], Offer] = {AveragePool2D: average, MaxPool2D: maximum}
