"""What should a person know about a network: its layers, its formats, its sizes?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np

from ggdq_mcu import schema
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.stages import Schedule


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: real value = step * (q - zero_point), q of type ``type`` (u8, s8, s16).

    ``steps`` and ``zeros``: of an input whose channels have their own; ``step`` is the geometric mean then.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    step: float
    zero_point: int
    steps: tuple[float, ...] = ()
    zeros: tuple[int, ...] = ()


@dataclass(frozen=True)
class LayerInfo:
    """One layer. ``shape``, ``type`` and ``step`` are those of its output, ``bits`` are the output's bits.

    ``weight_bits`` are those that hold every integer weight.
    ``step`` is the geometric mean where the channels have steps of their own. ``weights_bytes`` counts all
    constants. ``buffer_bytes`` is its output in memory. ``measured`` are the instructions of an inference by kernel, where
    build --tune counted them; ``instructions`` is what planning reckons with for its kernel, an estimate without --tune.
    What quantization and planning decide is None before.
    """

    name: str
    operator: str
    details: str
    macs: int
    shape: tuple[int, ...]
    type: str | None = None
    step: float | None = None
    bits: int | None = None
    weight_bits: int | None = None
    kernel: str | None = None
    weights_bytes: int | None = None
    buffer_bytes: int | None = None
    measured: Mapping[str, int] | None = None
    instructions: int | None = None


@dataclass(frozen=True)
class Placement:
    """A buffer of the arena: ``size`` bytes from ``offset`` on, needed from layer number ``first`` to ``last``."""

    name: str
    offset: int
    size: int
    first: int
    last: int
    scratch: bool = False


@dataclass(frozen=True)
class RingInfo:
    """Rows of a feature map that a stream keeps: ``rows`` of ``row_bytes`` each, and ``spare`` rows of memory more."""

    name: str
    rows: int
    spare: int
    row_bytes: int
    bytes: int


@dataclass(frozen=True)
class StreamInfo:
    """A network that takes frame by frame: outputs for windows of ``window`` frames, one after every ``hop`` frames.

    The layers are then those of one step, and inputs are frames. ``keep``: what borders read is kept, not computed anew.
    ``window_macs`` are the multiply-accumulates of the network on a whole window.
    """

    window: int
    hop: int
    keep: bool
    ring_bytes: int
    window_macs: int
    rings: tuple[RingInfo, ...]


@dataclass(frozen=True)
class StageInfo:
    """Layers that run in strips, see planning's Stage: ``layers`` of them, ``strips`` times; nothing is computed twice.

    ``inner_rows``: how many rows of the feature maps between them are in memory at a time, by layer.
    """

    first: str
    last: str
    rows: int
    pairs: bool
    layers: int
    strips: int
    inner_rows: Mapping[str, int]

    @property
    def text(self) -> str:
        """Which layers run in how many strips, and what is in memory of the feature maps between them."""
        rows = f"{self.rows} row{'s' if self.rows > 1 else ''}"
        inner = ", ".join(f"{name} {count}" for name, count in self.inner_rows.items())
        return (
            f"in strips: {self.first} to {self.last}, {self.strips} strips of {rows}, 0 % recomputed; "
            f"rows in memory: {inner}"
        )


@dataclass(frozen=True)
class RemovedInfo:
    """Channels of linear layers that are constant, by proof, or read by nothing: ``channels`` of ``of`` were removed.

    ``macs_before``: multiply-accumulates of one inference with them.
    """

    channels: int
    of: int
    macs_before: int


@dataclass(frozen=True)
class Description:
    """A network and, once it is planned, what it takes on a board. Sizes in bytes; None: not known yet.

    ``code_bytes``, ``flash_bytes``, ``ram_bytes`` and ``firmware`` (path of the ELF) are the firmware's;
    ``stack_bytes`` is the most that one inference puts on the stack. ``removed``: None where no channel was.
    ``warnings``: what was suspicious about the calibration samples, a line each.
    """

    name: str
    board: str | None
    core: str | None
    goal: str | None
    scheme: str | None
    calibration: str | None
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    layers: tuple[LayerInfo, ...]
    macs: int
    parameters: int
    arena_bytes: int | None = None
    weights_bytes: int | None = None
    code_bytes: int | None = None
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    stack_bytes: int | None = None
    firmware: str | None = None
    source: Mapping[str, str] = field(default_factory=dict)
    placements: tuple[Placement, ...] = ()
    stream: StreamInfo | None = None
    stages: tuple[StageInfo, ...] = ()
    removed: RemovedInfo | None = None
    warnings: tuple[str, ...] = ()


def describe_model(graph: Graph) -> Description:
    """What is known of a float network."""
    layers = tuple(
        LayerInfo(
            node.name,
            type(node.operator).__name__,
            node.operator.describe(),
            node.operator.macs([graph.shapes[source] for source in node.inputs]),
            graph.shapes[node.name],
        )
        for node in graph.nodes
        if node.inputs and not node.operator.is_view
    )
    float_ = [TensorInfo(name, graph.shapes[name], "float32", 1.0, 0) for name in (*graph.inputs, *graph.outputs)]
    return Description(
        name=graph.name,
        board=None,
        core=None,
        goal=None,
        scheme=None,
        calibration=None,
        inputs=tuple(float_[: len(graph.inputs)]),
        outputs=tuple(float_[len(graph.inputs) :]),
        layers=layers,
        macs=sum(layer.macs for layer in layers),
        parameters=count_parameters(graph),
    )


def describe_network(network: QuantizedGraph, graph: Graph, scheme: str, calibration: str) -> Description:
    """What is known of a quantized network before it is planned; ``graph`` is the float network."""
    layers = tuple(_layer(network, node.name) for node in network.nodes if node.inputs and not node.operator.is_view)
    return Description(
        name=network.name,
        board=None,
        core=None,
        goal=None,
        scheme=scheme,
        calibration=calibration,
        inputs=tuple(_tensor(network, name) for name in network.inputs),
        outputs=tuple(_tensor(network, name) for name in network.outputs),
        layers=layers,
        macs=sum(layer.macs for layer in layers),
        parameters=count_parameters(graph),
        removed=_removed(graph, network),
    )


def describe_plan(plan: Plan, *, name: str, board: str, scheme: str, calibration: str, graph: Graph) -> Description:
    """What is known of a planned network; ``graph`` is the float network."""
    known = _of_step(plan, describe_network(plan.graph, graph, scheme, calibration))
    size = {buffer.name: buffer.size for buffer in plan.arena.buffers}
    inner = {name for schedule in plan.schedules for name in schedule.inner}
    layers = tuple(_planned(layer, plan.kernels[layer.name]) for layer in known.layers)
    layers = tuple(replace(x, buffer_bytes=size[x.name]) if x.name in inner else x for x in layers)
    return replace(
        known,
        name=name,
        board=board,
        core=plan.core.name,
        goal=plan.goal,
        layers=layers,
        arena_bytes=plan.arena.size,
        weights_bytes=plan.constant_bytes,
        placements=_placements(plan),
        stages=tuple(stage_info(schedule) for schedule in plan.schedules),
    )


def _of_step(plan: Plan, known: Description) -> Description:
    """The description with what a stream has besides; as it is where the plan is of whole windows."""
    step = plan.graph
    if not isinstance(step, StepGraph):
        return known
    rings = tuple(
        RingInfo(memory.ring.name, memory.ring.rows, memory.spare, memory.ring.row_bytes, memory.bytes)
        for memory in plan.rings
    )
    macs = sum(node.operator.macs(step.whole.input_shapes(node)) for node in step.whole.nodes if node.inputs)
    return replace(
        known,
        inputs=tuple(replace(one, shape=step.frame_shape(one.name)) for one in known.inputs),
        outputs=tuple(_tensor(step.whole, name) for name in step.whole.outputs),
        stream=StreamInfo(step.window, step.hop, step.keep, plan.ring_bytes, macs, rings),
    )


def _removed(graph: Graph, network: QuantizedGraph) -> RemovedInfo | None:
    """What ``network`` has no more of the float ``graph`` that it was made from."""
    left = {node.name: len(node.channels) for node in network.nodes if node.channels is not None}
    if not left:
        return None
    channels = {node.name: graph.shapes[node.name][-1] for node in graph.nodes if isinstance(node.operator, Linear)}
    gone = sum(size - left.get(name, size) for name, size in channels.items())
    return RemovedInfo(gone, sum(channels.values()), describe_model(graph).macs)


def count_parameters(graph: Graph) -> int:
    """Number of weights and biases."""
    return sum(array.size for node in graph.nodes for array in node.weights.values())


def constant_bytes(kernel: Kernel) -> int:
    """Bytes of flash that the constants of a layer take."""
    return sum(array.nbytes for array in kernel.arrays.values())


def description_from_json(content: bytes, where: str) -> Description:
    """The description that a manifest holds; GgdqError where it is not one of this version."""
    fix = "build the project again"
    found = schema.read(content, Description, where, "a manifest of this version", fix)
    if not re.fullmatch(r"[A-Za-z_]\w{0,60}", found.name, re.ASCII):
        raise GgdqError("not a manifest of this version (name: not an identifier)", where, fix)
    if found.board is not None and not schema.BOARD_NAME.match(found.board):
        raise GgdqError("not a manifest of this version (board: not a board's name)", where, fix)
    return found


def _placements(plan: Plan) -> tuple[Placement, ...]:
    """The arena's buffers; steps are counted in layers, as views and inputs are no code."""
    place_of = {node.name: place for place, node in enumerate(plan.layers)}
    place: list[int] = []
    for node in plan.graph.nodes:
        place.append(place_of.get(node.name, place[-1] if place else 0))
    return tuple(
        Placement(
            b.name, plan.arena.offsets[b.name], b.size, place[b.first], place[b.last], b.name not in plan.graph.by_name
        )
        for b in sorted(plan.arena.buffers, key=lambda b: (b.first, plan.arena.offsets[b.name]))
    )


def stage_info(schedule: Schedule) -> StageInfo:
    """A stage of a plan."""
    stage = schedule.stage
    sizes = len(schedule.nodes), len(schedule.strips)
    return StageInfo(stage.first, stage.last, stage.rows, stage.pairs, *sizes, dict(schedule.inner))


def _tensor(graph: QuantizedGraph, name: str) -> TensorInfo:
    format_ = graph.by_name[name].format
    steps = tuple(np.asarray(format_.step).tolist()) if format_.per_channel else ()
    zeros = (
        ()
        if not steps
        else tuple(np.zeros(len(steps), int).tolist() if format_.zeros is None else format_.zeros.tolist())
    )
    return TensorInfo(name, graph.shapes[name], format_.short, format_.mean_step, format_.zero_point, steps, zeros)


def _layer(graph: QuantizedGraph, name: str) -> LayerInfo:
    node = graph.by_name[name]
    return LayerInfo(
        name,
        type(node.operator).__name__,
        node.operator.describe(),
        node.operator.macs(graph.input_shapes(node)),
        graph.shapes[name],
        node.format.short,
        node.format.mean_step,
        node.format.bits,
        _weight_bits(node),
        buffer_bytes=prod(graph.shapes[name]) * node.format.storage_bits // 8,
    )


def _weight_bits(node: QuantizedNode) -> int | None:
    """The fewest bits that hold all integer weights; None for a layer without."""
    kernel = node.constants.get("kernel")
    if kernel is None or not isinstance(node.operator, Linear):
        return None
    largest = max(int(kernel.max(initial=0)), -1 - int(kernel.min(initial=0)))
    return max(2, largest.bit_length() + 1)


def _planned(layer: LayerInfo, kernel: Kernel) -> LayerInfo:
    instructions = round(kernel.instructions) or None
    return replace(layer, kernel=kernel.name, weights_bytes=constant_bytes(kernel), instructions=instructions)
