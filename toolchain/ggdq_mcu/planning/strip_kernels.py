"""Which kernels can compute a layer that runs in strips? Those that can compute each of its parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.kernels import kernels_of
from ggdq_mcu.planning.stages import Schedule, Variant, row_bytes

_MOVED_BYTE = 0.8  # instructions for each byte of rows that are kept


@dataclass(frozen=True, eq=False)
class StripKernel(Kernel):
    """One way to compute a layer part by part: a kernel of the same name for each of its variants.

    ``instructions`` are those of all parts, ``scratch_bytes`` those of the largest, ``arrays`` those of all variants.
    """

    variants: tuple[Kernel, ...] = ()


class StripKernels:
    """The kernels of layers in strips; what was found is kept, as stages that are tried have much in common."""

    def __init__(self, graph: QuantizedGraph, core: Core) -> None:
        self._graph, self._core = graph, core
        self._found: dict[tuple[str, str], list[Kernel]] = {}

    def candidates(self, name: str, schedule: Schedule) -> list[StripKernel]:
        """The kernels for layer ``name`` of a stage."""
        variants = schedule.variants[name]
        parts = schedule.parts(name)
        times = [sum(part.variant == i for part in parts) for i in range(len(variants))]
        moved = sum(part.kept for part in parts if part.moved) * row_bytes(self._graph, name)
        found = [{kernel.name: kernel for kernel in self._kernels(name, variant)} for variant in variants]
        common = [kernel for kernel in found[0] if all(kernel in others for others in found)]
        return [_joined([one[kernel] for one in found], times, moved * _MOVED_BYTE) for kernel in common]

    def _kernels(self, name: str, variant: Variant) -> list[Kernel]:
        key = name, repr(variant)
        if key not in self._found:
            layer = self._graph.layer(self._graph.by_name[name])
            part = replace(layer, operator=variant.operator, shapes=variant.inputs, shape=variant.output)
            self._found[key] = kernels_of(part, self._core)
        return self._found[key]


def part_node(node: QuantizedNode, variant: Variant) -> QuantizedNode:
    """The node that computes some of a layer's rows."""
    return replace(node, operator=variant.operator)


def _joined(kernels: list[Kernel], times: list[int], more: float) -> StripKernel:
    first = kernels[0]
    counted = all(kernel.instructions for kernel in kernels)
    cost = sum(count * kernel.instructions for count, kernel in zip(times, kernels, strict=True)) + more
    return StripKernel(
        first.name,
        first.template,
        first.parameters,
        dict(_arrays(kernels)),
        max(kernel.scratch_bytes for kernel in kernels),
        cost if counted else 0.0,
        variants=tuple(kernels),
    )


def _arrays(kernels: list[Kernel]) -> Iterator[tuple[str, Any]]:
    """The constants of all variants, each content once."""
    seen: set[tuple[str, bytes]] = set()
    for number, kernel in enumerate(kernels):
        for key, array in kernel.arrays.items():
            content = array.dtype.str, array.tobytes()
            if content not in seen:
                seen.add(content)
                yield (f"{key}_{number}" if number else key), array
