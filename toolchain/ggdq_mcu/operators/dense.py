"""Fully connected layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.operators._operator import Shape

Array = NDArray[Any]


@dataclass(frozen=True)
class Dense(Linear):
    """Product of the last axis with a matrix, as Keras computes it.

    input (..., C) -> output (..., units); kernel (C, units); bias (units,)
    """

    units: int

    def output_shape(self, *shapes: Shape) -> Shape:
        if not shapes[0]:
            raise ValueError("a dense layer needs at least one axis")
        return (*shapes[0][:-1], self.units)

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        product: Array = image @ kernel
        return product

    def by_output(self, kernel: Array) -> Array:
        return kernel

    def input_step(self, kernel: Array, step: Array) -> Array:
        return step if step.ndim == 0 else step[:, None]

    def output_step(self, kernel: Array, step: Array) -> Array:
        return step

    def macs(self, shapes: Sequence[Shape]) -> int:
        return int(np.prod(shapes[0])) * self.units
