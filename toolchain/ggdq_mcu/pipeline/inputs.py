"""On which inputs are implementations compared? Real samples first, then extremes and random ones."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Format, QuantizedGraph
from ggdq_mcu.numerics.noise import Noise

Array = NDArray[Any]
_SEED = 20181031


def input_samples(network: QuantizedGraph, data: DataSet | None, count: int) -> dict[str, Array]:
    """``count`` integer inputs (count, ...) by input name.

    First the samples of ``data``, quantized; then all lowest, all highest, zero point everywhere and a
    checkerboard of extremes; then uniformly random integers, the same at every call.
    """
    real: dict[str, Array] = {}
    if data is not None:
        some = data.first(count)
        real = network.quantize_inputs({name: x.astype(np.float32) for name, x in some.samples.items()})
    have = len(next(iter(real.values()))) if real else 0
    result = {}
    for index, name in enumerate(network.inputs):
        format_, shape = network.by_name[name].format, network.shapes[name]
        made = list(islice(_made(format_, shape, _SEED + index), count - have))
        result[name] = np.stack([*real.get(name, ()), *made])
    return result


def _made(format_: Format, shape: tuple[int, ...], seed: int) -> Iterator[Array]:
    for value in (format_.low, format_.high, format_.zero_point):
        yield np.full(shape, value, format_.dtype)
    checker = np.indices(shape).sum(axis=0) % 2
    yield np.where(checker, format_.high, format_.low).astype(format_.dtype)
    random = Noise(seed)
    while True:
        yield random.integers(format_.low, format_.high, shape).astype(format_.dtype)
