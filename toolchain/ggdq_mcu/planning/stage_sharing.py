"""Which buffers of a stage that runs in strips may lie over each other? From what each part reads and writes, in order.

An output of the stage may overwrite an input of the stage that no later strip reads; an inner feature map that lasts
for one strip may be written over another that ends then, where the kernels of all parts allow it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import accumulate
from math import lcm

from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.planning.placement import ALIGNMENT, Sharing
from ggdq_mcu.planning.stages import Part, Schedule, positions, row_bytes
from ggdq_mcu.planning.strip_kernels import StripKernel


@dataclass(frozen=True)
class _Step:
    """A part with its bytes: where its reads begin in the sources' buffers, from where to where it writes."""

    part: Part
    reads: tuple[tuple[str, int], ...]
    start: int
    end: int
    kernel: Kernel


def stage_sharings(
    graph: QuantizedGraph,
    schedule: Schedule,
    kernels: Mapping[str, Kernel],
    holder: Mapping[str, str],
    ends: Collection[str],
) -> list[Sharing]:
    """What may overlap. ``holder``: the buffer of each node; ``ends``: buffers that nothing after the stage reads."""
    steps = []
    for part, reads, start in positions(graph, schedule):
        sources = [holder[source] for source in graph.by_name[part.node].inputs]
        kernel = kernels[part.node]
        assert isinstance(kernel, StripKernel)
        end = start + len(part.writes) * row_bytes(graph, part.node)
        found = tuple(zip(sources, reads, strict=True))
        steps.append(_Step(part, found, start, end, kernel.variants[part.variant]))
    outer = [name for name in schedule.nodes if name not in schedule.inner]
    inputs = dict.fromkeys(source for step in steps for source, _ in step.reads if source not in schedule.nodes)
    pairs = [(output, source) for output in outer for source in inputs if source in ends]
    passing = [name for name in schedule.inner if name not in schedule.lasting]
    order = {name: place for place, name in enumerate(schedule.nodes)}
    last = {name: max((order[s.part.node] for s in steps if name in dict(s.reads)), default=-1) for name in passing}
    pairs += [(output, source) for output in passing for source in passing if last[source] == order[output]]
    made = [_sharing(output, source, steps, source in schedule.inner) for output, source in pairs]
    return [sharing for sharing in made if sharing]


def _sharing(output: str, source: str, steps: list[_Step], passing: bool) -> Sharing | None:
    """The overlap that all parts allow; ``passing``: the source is written anew in each strip."""
    multiple, leads = ALIGNMENT, []
    for step in (step for step in steps if step.part.node == output):
        for index, (name, begin) in enumerate(step.reads):
            if name != source:
                continue
            overlap = step.kernel.overlaps.get(index)
            if overlap is None or (begin - step.start) % overlap.multiple:
                return None
            multiple = lcm(multiple, overlap.multiple)
            leads.append(overlap.lead - begin + step.start)
    if not passing:
        never = max((step.end for step in steps if step.part.node == output), default=0)
        firsts = [min((begin for name, begin in step.reads if name == source), default=never) for step in steps]
        later = list(accumulate(reversed(firsts), min, initial=never))[::-1][1:]
        leads += [step.end - after for step, after in zip(steps, later, strict=True) if step.part.node == output]
    return Sharing(output, source, -(-max(leads) // multiple) * multiple, multiple)
