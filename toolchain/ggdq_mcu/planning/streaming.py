"""How does a network take a stream, a frame at a time? Which rows of every feature map a step computes, and which it keeps.

A frame is a row of the input along its first axis. From the layers' own windows follows for every feature map which rows are
its time axis, how many of them a frame brings, and which are *steady*: those that no padding takes part in. A steady row of a
window is a row of the next window too, ``moves`` rows further up, so it is computed once, when it is first needed. The other
rows, at the borders, are computed anew in each step, from rows that are kept. A row that nobody reads is not computed at all.

The upper border reads steady rows that were new long ago. They are kept all that time, or else (``keep`` False) computed anew
as well, with all that they come from: more work, and far less memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from math import lcm, prod

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.quantized import Place, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.rows import RowPadding, RowWindow, replaced
from ggdq_mcu.graph.step import Advance, Ring, Rows, StepGraph
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.planning.single_position import as_dense

_FIX = "build it without --streaming, and give it whole windows"


@dataclass(frozen=True)
class TimeAxis:
    """Where a feature map has its time: ``axis`` from the end, ``count`` rows, ``rate`` rows a frame, the ``steady`` rows."""

    axis: int
    count: int
    rate: Fraction
    steady: range


@dataclass(frozen=True)
class RowPlan:
    """What a step does with a feature map: computes the ``runs`` of rows, and holds those of ``ring`` for later ones.

    In the ring the rows ``kept`` move on by ``moves``. Rows are counted from the window's first.
    """

    runs: tuple[range, ...]
    moves: int = 0
    ring: range = range(0)
    kept: range = range(0)


def step_graph(graph: QuantizedGraph, hop: int | None = None, keep: bool = True) -> StepGraph:
    """One step of ``graph`` on a stream; GgdqError where a layer does not allow it.

    ``keep``: rows that the upper border reads are kept instead of computed anew.
    ``hop``: frames from one window to the next, a multiple of what the strides of the layers ask for (the default).
    """
    window = _window(graph)
    times = time_axes(graph)
    least = lcm(*(time.rate.denominator for time in times.values() if time and time.steady))
    hop = least if hop is None else hop
    if hop % least or hop < 1:
        raise GgdqError(f"a hop of {hop} frames", fix=f"the strides of the layers ask for a multiple of {least}")
    if hop > window:
        raise GgdqError(f"a hop of {hop} frames is longer than the window of {window}", "streaming", _FIX)
    return _Builder(graph, window, hop, keep, times).graph()


def time_axes(graph: QuantizedGraph) -> dict[str, TimeAxis | None]:
    """The time axis of every node's value; None for those without."""
    times: dict[str, TimeAxis | None] = {}
    for node in graph.nodes:
        shape = graph.shapes[node.name]
        if not node.inputs:
            times[node.name] = TimeAxis(-len(shape), shape[0], Fraction(1), range(shape[0]))
        else:
            times[node.name] = _followed(graph, node, times)
    return times


def row_plans(
    graph: QuantizedGraph, window: int, hop: int, times: Mapping[str, TimeAxis | None], keep: bool = True
) -> dict[str, RowPlan | None]:
    """For every node that somebody needs, what a step does with its rows; None for those without a time axis."""
    needed = {name: np.zeros(time.count if time else 1, bool) for name, time in times.items()}
    for name in graph.outputs:
        needed[name][:] = True
    plans: dict[str, RowPlan | None] = {}
    for node in reversed(graph.nodes):
        time, rows = times[node.name], needed[node.name]
        if not node.inputs:
            assert time is not None
            rows[window - hop :] = True
            plans[node.name] = _planned(rows, time, hop, keep=True, always_ring=True)
        elif not rows.any():
            continue
        elif is_alias(node, times):
            needed[node.inputs[0]] |= rows
        else:
            plans[node.name] = _needs(node, times, needed, hop, keep)
    return plans


def is_alias(node: QuantizedNode, times: Mapping[str, TimeAxis | None]) -> bool:
    """Has the node the rows of another, under another shape?"""
    return node.operator.is_view and times[node.name] is not None


def row_window(node: QuantizedNode, times: Mapping[str, TimeAxis | None]) -> RowWindow | None:
    """The rows that an output row of a layer reads; None where it reads all, or has no input with a time axis."""
    axes = sorted({time.axis for source in node.inputs if (time := times[source])})
    if not axes or node.operator.is_view or axes == [-1]:
        return None
    try:
        if len(axes) > 1:
            raise ValueError("its inputs have their frames along different axes")
        return node.operator.row_window(axes[0], node.constants)
    except ValueError as error:
        raise GgdqError(f"cannot be streamed: {error}", f"layer {node.name!r}", _FIX) from error


def _window(graph: QuantizedGraph) -> int:
    """Frames of the window: the rows of every input."""
    for node in graph.nodes:
        if node.operator.keeps_state:
            what = "cannot be streamed: it keeps state of its own, so it is no function of a window"
            raise GgdqError(what, f"layer {node.name!r}", _FIX)
    counts = {name: graph.shapes[name][0] if graph.shapes[name] else 1 for name in graph.inputs}
    first, window = next(iter(counts.items()))
    for name, count in counts.items():
        if count < 2:
            raise GgdqError(f"its shape {graph.shapes[name]} has no frames", f"input {name!r}", _FIX)
        if count != window:
            raise GgdqError(f"it has {count} frames, and input {first!r} {window}", f"input {name!r}", _FIX)
    return window


def _followed(graph: QuantizedGraph, node: QuantizedNode, times: Mapping[str, TimeAxis | None]) -> TimeAxis | None:
    """The time axis of a layer's output."""
    timed = [time for source in node.inputs if (time := times[source])]
    shape = graph.shapes[node.name]
    if not timed:
        return None
    if node.operator.is_view:
        axis = _reshaped(graph.shapes[node.inputs[0]], timed[0].axis, shape)
        return None if axis is None else replace(timed[0], axis=axis)
    window = row_window(node, times)
    axis = timed[0].axis
    if window is None or shape[axis] == 1:
        return None
    if prod(shape[:axis]) != 1:
        raise GgdqError("cannot be streamed: it repeats the sequence", f"layer {node.name!r}", _FIX)
    starts, stops = zip(*(_steady(time.steady, window) for time in timed), strict=True)
    rates = {time.rate for time in timed}
    steady = range(max(0, *starts), max(0, *starts, min(shape[axis], *stops)))
    if len(timed) < len(node.inputs) or len(rates) > 1:
        steady = range(0)  # what comes from the whole window changes with it
    return TimeAxis(axis, shape[axis], min(rates) / window.stride, steady)


def _steady(steady: range, window: RowWindow) -> tuple[int, int]:
    """First and last (exclusive) output row whose window lies in the steady input rows.

    Where the first windows lie in the padding alone, one that does not has to be computed with them: it is not steady.
    """
    span = (window.taps - 1) * window.dilation
    first = -(-(steady.start + window.before) // window.stride)
    padding_alone = -(-(window.before - span) // window.stride)
    first = max(first, padding_alone + 1) if padding_alone > 0 else first
    return first, (steady.stop - 1 + window.before - span) // window.stride + 1 if steady else 0


def _reshaped(old: Shape, axis: int, new: Shape) -> int | None:
    """The time axis under another shape; None where its rows are no rows any more."""
    count = old[axis]
    places = (i for i, size in enumerate(new) if size == count and prod(new[:i]) == 1)
    return next((i - len(new) for i in places), None)


def _needs(
    node: QuantizedNode,
    times: Mapping[str, TimeAxis | None],
    needed: Mapping[str, NDArray[np.bool_]],
    hop: int,
    keep: bool,
) -> RowPlan | None:
    """The plan of a layer's rows; what it reads is marked as needed."""
    time, window = times[node.name], row_window(node, times)
    counts = [other.count for source in node.inputs if (other := times[source])]
    plan = None if time is None else _planned(needed[node.name], time, hop, keep)
    while plan is not None and window is not None:
        grown = [_grown(run, window, min(counts)) for run in plan.runs]
        if tuple(grown) == plan.runs:
            break
        for run in grown:
            needed[node.name][run.start : run.stop] = True
        assert time is not None
        plan = _planned(needed[node.name], time, hop, keep)
    for source in node.inputs:
        if times[source] is None or window is None:
            needed[source][:] = True
            continue
        for run in plan.runs if plan else (range(1),):
            rows = window.reads(run)
            needed[source][max(0, rows.start) : max(0, rows.stop)] = True
    return plan


def _grown(run: range, window: RowWindow, count: int) -> range:
    """The run with as many rows more as it takes to read a row that is no padding."""
    while window.reads(run).stop <= 0:
        run = range(run.start, run.stop + 1)
    while window.reads(run).start >= count:
        run = range(run.start - 1, run.stop)
    return run


def _planned(needed: NDArray[np.bool_], time: TimeAxis, hop: int, keep: bool, always_ring: bool = False) -> RowPlan:
    """Which of the needed rows are computed in each step, and which lie in a ring since an earlier one."""
    wanted = np.flatnonzero(needed)
    first, last = int(wanted[0]), int(wanted[-1]) + 1
    # From here on every row is needed; with ``keep`` the ring reaches up to the oldest steady row that is.
    together = last - next((i for i in range(1, len(wanted)) if wanted[-1 - i] != wanted[-i] - 1), len(wanted))
    lower = time.steady.start if keep else max(time.steady.start, together)
    steady = wanted[(wanted >= lower) & (wanted < time.steady.stop)].tolist()
    upper = wanted[wanted < lower].tolist()
    if not steady:
        return RowPlan((range(first, last),))
    moves, newest = int(hop * time.rate), steady[-1] + 1
    new = range(max(newest - moves, steady[0]), last)
    if upper and upper[-1] + 1 >= new.start:
        return RowPlan((range(first, last),))
    runs = (range(first, upper[-1] + 1), new) if upper else (new,)
    if all(any(row in run for run in runs) for row in wanted.tolist()) and not always_ring:
        return RowPlan(runs)
    above = keep or together < steady[0]  # do the rows of the upper border lie in the ring too?
    return RowPlan(runs, moves, range(first if above else steady[0], last), range(steady[0], new.start))


class _Builder:
    """Makes the nodes of a step, in the order of the network's."""

    def __init__(
        self,
        graph: QuantizedGraph,
        window: int,
        hop: int,
        keep: bool,
        times: Mapping[str, TimeAxis | None],
    ) -> None:
        self._whole, self._window, self._hop, self._keep, self._times = graph, window, hop, keep, times
        self._plans = row_plans(graph, window, hop, times, keep)
        self._nodes: list[QuantizedNode] = []
        self._names = set(graph.by_name)
        self._pieces: dict[
            str, list[tuple[range, str]]
        ] = {}  # of each tensor the rows that lie together, and their node
        self._read: dict[tuple[str, range], str] = {}
        self._rings: list[Ring] = []
        self._placed: dict[str, Place] = {}
        self._layer_of: dict[str, str] = {}

    def graph(self) -> StepGraph:
        """The step."""
        for node in self._whole.nodes:
            if node.name in self._plans:
                self._add_layer(node)
        outputs = tuple(self._rows(name) for name in self._whole.outputs)
        name, nodes = self._whole.name, tuple(self._nodes)
        stream = self._whole, self._window, self._hop, self._keep
        return StepGraph(name, nodes, outputs, *stream, tuple(self._rings), self._placed, self._layer_of)

    def _add_layer(self, node: QuantizedNode) -> None:
        plan, time = self._plans[node.name], self._times[node.name]
        if plan is None or time is None:
            self._layer_of[node.name] = node.name
            self._nodes.append(self._instance(node, node.name, range(1)))
            return
        before = self._fresh(f"{node.name} before") if plan.ring else ""
        if before:
            shape = replaced(self._whole.shapes[node.name], time.axis, len(plan.ring))
            self._nodes.append(QuantizedNode(before, Input(shape), (), node.format))
        names = [node.name] if len(plan.runs) == 1 else [self._fresh(f"{node.name} start"), node.name]
        for run, name in zip(plan.runs, names, strict=True):
            self._layer_of[name] = node.name
            instance = self._instance(node, name, run)
            # Two parts of a layer share its weights, so both stay what they are.
            self._nodes += self._single(instance) if len(plan.runs) == 1 else [instance]
        self._pieces[node.name] = list(zip(plan.runs, names, strict=True))
        if before:
            self._add_ring(node, time, plan, before)

    def _add_ring(self, node: QuantizedNode, time: TimeAxis, plan: RowPlan, before: str) -> None:
        """The node that is a ring's content after the step, in place of the rows that go into the ring."""
        after, first = self._fresh(f"{node.name} rows"), plan.ring.start
        pieces = self._pieces[node.name]
        inside = {name: run.start - first for run, name in pieces if run.start >= first}
        operator = Advance(time.axis, plan.moves, tuple(inside.values()))
        self._nodes.append(QuantizedNode(after, operator, (before, *inside), node.format))
        self._pieces[node.name] = [(plan.ring, after), *((run, name) for run, name in pieces if name not in inside)]
        elements = prod(self._whole.shapes[node.name]) // time.count
        kept = range(plan.kept.start - first, plan.kept.stop - first)
        ring = Ring(node.name, before, after, len(plan.ring), elements, plan.moves, kept, node.format)
        self._rings.append(ring)
        self._placed |= {before: Place(node.name, 0)}
        self._placed |= {name: Place(node.name, start * elements) for name, start in inside.items()}

    def _instance(self, node: QuantizedNode, name: str, run: range) -> QuantizedNode:
        """The layer for some of its output rows; for one without a time axis the rows do not count."""
        if not node.inputs:
            shape = (self._hop, *self._whole.shapes[node.name][1:])
            return QuantizedNode(name, Input(shape), (), node.format)
        window = row_window(node, self._times)
        if window is None:
            return replace(node, inputs=tuple(self._rows(source) for source in node.inputs))
        rows, inputs, padding = window.reads(run), [], RowPadding()
        axis = next(time.axis for source in node.inputs if (time := self._times[source]))
        for source in node.inputs:
            time = self._times[source]
            if time is None:
                inputs.append(source)
                continue
            inside = range(max(0, rows.start), min(time.count, rows.stop))
            padding = RowPadding(inside.start - rows.start, rows.stop - inside.stop)
            inputs.append(self._rows(source, inside))
        operator, constants = node.operator.for_rows(axis, run, padding, node.constants)
        return QuantizedNode(name, operator, tuple(inputs), node.format, constants)

    def _single(self, node: QuantizedNode) -> list[QuantizedNode]:
        """The node, or cheaper ones where it has one position to compute."""
        if not isinstance(node.operator, Conv2D):
            return [node]
        (source,) = node.inputs
        before = QuantizedGraph("step", tuple(self._nodes), ())
        names = self._fresh(f"{node.name} taps"), self._fresh(f"{node.name} vector")
        return as_dense(node, before.shapes[source], before.by_name[source].format, names)

    def _rows(self, name: str, rows: range | None = None) -> str:
        """The node that is some rows of a tensor (None: all of it), made where there is none yet."""
        time = self._times[name]
        if time is None:
            return name
        rows = rows or range(time.count)
        if (name, rows) not in self._read:
            self._read[name, rows] = self._made_rows(name, time, rows)
        return self._read[name, rows]

    def _made_rows(self, name: str, time: TimeAxis, rows: range) -> str:
        node = self._whole.by_name[name]
        if is_alias(node, self._times):
            source = self._rows(node.inputs[0], rows)
            view: Reshape | Rows = Reshape(replaced(self._whole.shapes[name], time.axis, len(rows)))
        else:
            held, source = next(
                (held, made) for held, made in self._pieces[name] if held.start <= rows.start and rows.stop <= held.stop
            )
            if held == rows:
                return source
            view = Rows(time.axis, rows.start - held.start, len(rows))
        text = f"{name} {rows.start}..{rows.stop - 1}"
        self._nodes.append(QuantizedNode(self._fresh(text), view, (source,), node.format))
        return self._nodes[-1].name

    def _fresh(self, name: str) -> str:
        """A name that no other node has."""
        while name in self._names:
            name += "'"
        self._names.add(name)
        return name
