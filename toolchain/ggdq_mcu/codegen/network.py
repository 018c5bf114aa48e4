"""How does a planned network become C? One library: a header, the layers, the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import jinja2

from ggdq_mcu import resources
from ggdq_mcu.codegen import arrays
from ggdq_mcu.codegen.calls import Call, Place, calls
from ggdq_mcu.codegen.code import Code, render_code
from ggdq_mcu.codegen.layers import Layer, Tensor, make_layers, parameter_names, tensor_of
from ggdq_mcu.codegen.lines import fold
from ggdq_mcu.codegen.names import comment, unique_identifiers
from ggdq_mcu.graph import Format
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.planning.arena import scratch_buffer, state_buffer, storage, view_starts
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.rings import RingMemory
from ggdq_mcu.version import __version__

_RUNTIME = resources.root("firmware") / "runtime"


@cache
def environment() -> jinja2.Environment:
    """Templates as this project uses them: strict, no blank lines from tags; it keeps what it compiled."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.root("templates")),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.do"],
    )
    made.filters["single"] = arrays.single
    return made


def render_network(plan: Plan, name: str) -> dict[str, str]:
    """The files of the network's library by name; ``name`` is the network's C identifier."""
    env = environment()
    layers = make_layers(plan, name)
    code = render_code(env, layers)
    blocks = _blocks(plan, layers)
    context = {
        "version": __version__,
        "name": name,
        "prefix": f"ggdq_{name}",
        "macro": f"GGDQ_{name.upper()}",
        "title": comment(plan.graph.name),
        "core": plan.core,
        "goal": plan.goal,
        "layers": layers,
        "code": code,
        "needed": _needed(plan, code),
        "inputs": _ends(plan, "input"),
        "outputs": _ends(plan, "output"),
        "blocks": blocks,
        "statements": [call for _, _, statements in blocks for call in statements],
        "keeps_rows": any(call.variant is None for block in calls(plan) for call in block.calls),
        "arena_bytes": plan.arena.size,
        "buffers": [(name, plan.arena.offsets[buffer]) for buffer, name in _buffer_names(plan).items()],
        "states": _states(plan),
        "audio": _takes_sound(plan),
        "stream": _stream(plan),
        "definition": arrays.definition,
        "declaration": arrays.declaration,
    }
    files = {
        f"ggdq_{name}.h": "network/network.h.j2",
        f"ggdq_{name}.c": "network/network.c.j2",
        f"ggdq_{name}_float.h": "network/float.h.j2",
        f"ggdq_{name}_weights.h": "network/weights.h.j2",
        f"ggdq_{name}_weights.c": "network/weights.c.j2",
    }
    if code.assembly:
        files[f"ggdq_{name}_routines.S"] = "network/routines.S.j2"
    texts = {file: fold(env.get_template(template).render(context)) for file, template in files.items()}
    headers = ["ggdq_runtime.h", *(["ggdq_simd.h"] if code.simd else [])]
    return texts | {header: (_RUNTIME / header).read_text() for header in headers}


def _needed(plan: Plan, code: Code) -> str:
    """The compiler's macro for the instructions that the code is written for; "" where it is plain C."""
    if not code.assembly and not code.simd:
        return ""
    if any(kernel.name == "helium" for kernel in plan.kernels.values()):
        return "__ARM_FEATURE_MVE"
    return {"dual": "__ARM_FEATURE_DSP", "accumulate": "__thumb2__", "single": "__thumb__"}[plan.core.multiplier]


@dataclass(frozen=True, eq=False)
class End:
    """An input or output of the network: its tensor, its parameter's name, its macro's word, its place in the arena."""

    tensor: Tensor
    parameter: str
    word: str
    place: str


def _ends(plan: Plan, kind: str) -> list[End]:
    names = plan.graph.inputs if kind == "input" else plan.graph.outputs
    places = _locations(plan)
    words = parameter_names(kind, names)
    tensors = [_frame(plan, name) if kind == "input" else tensor_of(plan, name) for name in names]
    return [
        End(tensor, word, word.upper(), places[name]) for name, tensor, word in zip(names, tensors, words, strict=True)
    ]


def _frame(plan: Plan, name: str) -> Tensor:
    """What the network is given at a time of an input: all of it, or in a stream one frame."""
    tensor = tensor_of(plan, name)
    return replace(tensor, shape=plan.graph.frame_shape(name)) if isinstance(plan.graph, StepGraph) else tensor


def _locations(plan: Plan) -> dict[str, str]:
    """For every node the C expression of the address, in the arena or in a ring, that holds its value."""
    holder, starts, pointers = storage(plan.graph), view_starts(plan.graph), _ring_names(plan)
    buffers = _buffer_names(plan)
    places = {}
    for node in plan.graph.nodes:
        bits = node.format.storage_bits
        held, start = holder[node.name], starts[node.name]
        place = plan.graph.placed.get(held)
        if place is None:
            places[node.name] = _address(buffers, Place(held, start * bits // 8), 0, node.format)
        else:
            places[node.name] = f"window.{pointers[place.ring]} + {place.element + start}"
    return places


def _states(plan: Plan) -> list[tuple[str, int]]:
    """Buffer and bytes of what each layer keeps from one inference to the next."""
    graph, buffers = plan.graph, _buffer_names(plan)
    owners = {
        graph.state_owner(graph.by_name[name]): kernel for name, kernel in plan.kernels.items() if kernel.state_bytes
    }
    return [(buffers[state_buffer(graph, name)], kernel.state_bytes) for name, kernel in owners.items()]


def _buffer_names(plan: Plan) -> dict[str, str]:
    """The enumerator that says where a buffer begins, by the buffer's name in the plan, in the order of the layers."""
    graph = plan.graph
    own = [
        (node.name, scratch_buffer(graph, node.name), state_buffer(graph, graph.state_owner(node)))
        for node in graph.nodes
    ]
    places = dict.fromkeys(buffer for buffers in own for buffer in buffers if buffer in plan.arena.offsets)
    return {buffer: f"AT_{word.upper()}" for buffer, word in unique_identifiers(places).items()}


def _takes_sound(plan: Plan) -> bool:
    """Is the one input samples of 16 bits that go on from call to call: of a stream, or of a network that keeps a state?"""
    ends = _ends(plan, "input")
    form = ends[0].tensor.format
    sampled = (form.short, form.zero_point) == ("s16", 0) and not form.per_channel and form.step == 1
    single = isinstance(plan.graph, StepGraph) and ends[0].tensor.elements == 1
    return len(ends) == 1 and sampled and (single or bool(_states(plan)))


def _ring_names(plan: Plan) -> dict[str, str]:
    """The C name of every ring, by the tensor whose rows it holds."""
    return unique_identifiers(memory.ring.name for memory in plan.rings)


@dataclass(frozen=True, eq=False)
class StreamRing:
    """A ring as the templates see it: its C name, its memory, and the comment that says what it holds."""

    name: str
    memory: RingMemory
    comment: str

    @property
    def elements(self) -> int:
        return self.memory.bytes * 8 // self.memory.ring.format.storage_bits

    @property
    def c_type(self) -> str:
        return self.memory.ring.format.c_type


@dataclass(frozen=True, eq=False)
class Stream:
    """A stream as the templates see it, in frames; ``gathered`` is how many of a first step are left out.

    ``frames`` are those rings, one for each input, that the frames go to, with the element of the first new one.
    """

    window: int
    hop: int
    gathered: int
    rings: list[StreamRing]
    frames: list[tuple[StreamRing, int]]
    ring_bytes: int


def _stream(plan: Plan) -> Stream | None:
    step = plan.graph
    if not isinstance(step, StepGraph):
        return None
    names = _ring_names(plan)
    rings = {
        memory.ring.name: StreamRing(
            names[memory.ring.name],
            memory,
            comment(
                f"{memory.ring.name}: {memory.ring.rows} rows of {memory.ring.row_bytes} bytes, {memory.spare} to spare"
            ),
        )
        for memory in plan.rings
    }
    frames = [(rings[name], step.placed[name].element) for name in step.inputs]
    rest = [ring for name, ring in rings.items() if name not in step.inputs]
    return Stream(step.window, step.hop, -step.window % step.hop, rest, frames, plan.ring_bytes)


def _address(buffers: Mapping[str, str], place: Place, advance: int, format_: Format) -> str:
    """The C expression of an address in the arena; ``advance``: bytes that it grows by from strip to strip."""
    if place.buffer is None:
        return ""
    bits, sign = format_.storage_bits, "s" if format_.signed else "u"
    element = bits // 8
    index = buffers[place.buffer] + (f" / {element}" if element > 1 else "")
    index += f" + {place.offset // element}" if place.offset else ""
    index += f" + strip * {advance // element}" if advance else ""
    return f"&arena.{sign}{bits}[{index}]"


class _Statement(NamedTuple):
    """A call in C: the function, its arguments and, for a layer, its number and where how many bytes of output lie."""

    function: str
    arguments: str
    layer: int | None
    output: str
    bytes: int


def _blocks(plan: Plan, layers: list[Layer]) -> list[tuple[str, int, list[_Statement]]]:
    """Title, turns and statements of everything that one inference does."""
    functions = {(layer.node.name, layer.variant): layer for layer in layers}
    whole = {} if plan.schedules else _locations(plan)
    buffers = _buffer_names(plan)
    return [
        (block.title, block.turns, [_statement(buffers, functions, whole, call) for call in block.calls])
        for block in calls(plan)
    ]


def _statement(
    buffers: Mapping[str, str], functions: Mapping[tuple[str, int], Layer], whole: Mapping[str, str], call: Call
) -> _Statement:
    """``buffers``: C names; ``whole``: where the values of nodes lie, in a plan whose layers are all computed as a whole."""
    byte = Format(8, False, 1.0)
    advance = call.advance or (0,) * len(call.places)
    if call.variant is None:
        arguments = [_address(buffers, place, step, byte) for place, step in zip(call.places, advance, strict=True)]
        return _Statement("ggdq_keep_rows", ", ".join([*arguments, str(call.bytes)]), None, "", 0)
    layer = functions[call.layer, call.variant]
    formats = [*(x.format for x in layer.inputs), layer.output.format, byte, byte]
    arguments = [
        _address(buffers, place, step, form) for place, step, form in zip(call.places, advance, formats, strict=False)
    ]
    for i, name in enumerate((*layer.node.inputs, layer.node.name)):
        arguments[i] = whole.get(name, arguments[i])
    return _Statement(layer.function, ", ".join(arguments), layer.index, arguments[call.output], call.bytes)
