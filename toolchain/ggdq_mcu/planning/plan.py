"""Which kernel computes each layer, and where does everything lie in memory?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.kernel import Kernel, Routine, shared
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.planning.arena import Arena
from ggdq_mcu.planning.rings import RingMemory, ring_memory
from ggdq_mcu.planning.stages import Schedule, Variant
from ggdq_mcu.planning.strip_kernels import StripKernel


@dataclass(frozen=True)
class Plan:
    """The kernel of every layer, in the order of execution, and the arena."""

    graph: QuantizedGraph
    core: Core
    goal: str
    kernels: Mapping[str, Kernel]
    arena: Arena
    spare: float = 0.0  # of the rings of a stream, see ``ring_memory``
    schedules: tuple[Schedule, ...] = ()

    @property
    def layers(self) -> list[QuantizedNode]:
        """The nodes that are code: neither inputs nor views."""
        return [self.graph.by_name[name] for name in self.kernels]

    @cached_property
    def rings(self) -> tuple[RingMemory, ...]:
        """Memory that outlasts a step of a stream; none where whole windows are computed."""
        return ring_memory(self.graph, self.spare) if isinstance(self.graph, StepGraph) else ()

    @property
    def ring_bytes(self) -> int:
        """Bytes of RAM that the rings take."""
        return sum(ring.bytes for ring in self.rings)

    @cached_property
    def constant_bytes(self) -> int:
        """Bytes of flash that the layers' constants take; equal arrays are there once."""
        distinct = {(array.dtype.str, array.tobytes()) for k in self.kernels.values() for array in k.arrays.values()}
        return sum(len(content) for _, content in distinct)

    @cached_property
    def code_bytes(self) -> int:
        """The kernels' own estimates of their code, what layers or strips share counted once."""
        variants = {name: found for schedule in self.schedules for name, found in schedule.variants.items()}
        sizes: dict[tuple[Any, ...], int] = {}
        routines: list[Routine] = []
        for name, kernel in self.kernels.items():
            node = self.graph.by_name[name]
            whole = Variant(node.operator, tuple(self.graph.input_shapes(node)), self.graph.shapes[name])
            parts = (
                zip(variants[name], kernel.variants, strict=True)
                if isinstance(kernel, StripKernel)
                else [(whole, kernel)]
            )
            for variant, own in parts:
                sizes[own.template, repr(own.parameters), repr(variant)] = own.code_bytes
                routines += own.routines
        return sum(sizes.values()) + sum(routine.code_bytes for routine in shared(routines))
