"""What is a layer apart from its network? All that a kernel is made for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

if TYPE_CHECKING:
    from ggdq_mcu.graph.format import Format
    from ggdq_mcu.graph.operator import Operator, Shape

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class QuantizedLayer:
    """An operator with its integer constants, and the formats and shapes (without the batch) of what it reads and writes.

    ``sources`` and ``shapes`` are those of the inputs, ``output`` and ``shape`` those of the output.
    """

    operator: Operator
    sources: tuple[Format, ...]
    shapes: tuple[Shape, ...]
    output: Format
    shape: Shape
    constants: Mapping[str, Array]
