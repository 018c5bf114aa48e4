"""Where in a compiled network is each layer?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ggdq_mcu.planning.plan import Plan


@dataclass(frozen=True)
class LayerSymbol:
    """A layer in the ELF, or one that computes some of its rows: index in the graph, function, which argument the
    output is, bytes of the output."""

    index: int
    function: str
    output_argument: int
    output_bytes: int


def layer_symbols(plan: Plan, name: str) -> Sequence[LayerSymbol]:
    """The layers of a planned network whose C name is ``name``; of one that runs in strips, all that compute rows of it."""
    from ggdq_mcu.codegen.layers import make_layers

    return [
        LayerSymbol(layer.index, layer.function, len(layer.inputs), layer.output.bytes)
        for layer in make_layers(plan, name)
    ]
