"""How does a planned network become C? One library: a header, the layers, the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from math import prod
from typing import Any, NamedTuple

import jinja2

from ggdq_mcu import resources
from ggdq_mcu.codegen import arrays
from ggdq_mcu.codegen.calls import Call, calls
from ggdq_mcu.codegen.names import comment, unique_identifiers
from ggdq_mcu.graph import Format, QuantizedNode
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.kernel import Kernel, shared
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.planning.arena import state_buffer, storage, view_starts
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.rings import RingMemory
from ggdq_mcu.planning.strip_kernels import StripKernel, part_node
from ggdq_mcu.version import __version__

_KERNEL_NAME = "GGDQ_KERNEL_NAME"  # stands for the function's name until equal kernels have been merged


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor as the templates see it."""

    name: str
    shape: Shape
    format: Format

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def c_type(self) -> str:
        return self.format.c_type

    @property
    def bytes(self) -> int:
        return self.elements * self.format.storage_bits // 8

    @property
    def text(self) -> str:
        """Shape, type and step for comments: 25x5x64 u8, step 0.0231."""
        steps = "steps by channel, mean" if self.format.per_channel else "step"
        if self.format.zeros is not None:
            steps = "steps and zero points by channel, mean step"
        zero = f", zero point {self.format.zero_point}" if self.format.zero_point else ""
        shape = "x".join(map(str, self.shape)) or "1"
        return f"{shape} {self.format.short}, {steps} {self.format.mean_step:.6g}{zero}"


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer, or a variant of it that computes some rows, as the templates see it: tensors, kernel, names."""

    index: int
    variant: int
    node: QuantizedNode
    kernel: Kernel
    inputs: tuple[Tensor, ...]
    output: Tensor
    prefix: str
    short: str
    array_names: Mapping[str, str]

    @property
    def function(self) -> str:
        return f"{self.prefix}_{self.short}"

    @cached_property
    def arrays(self) -> Mapping[str, tuple[str, Any]]:
        """For each of the kernel's constants: its C name and its values."""
        return {key: (self.array_names[key], value) for key, value in self.kernel.arrays.items()}

    @property
    def own_arrays(self) -> list[tuple[str, Any]]:
        """Name and values of the constants that the layer does not borrow from one before."""
        return [(name, value) for key, (name, value) in self.arrays.items() if name == f"{self.function}_{key}"]

    @property
    def comment(self) -> str:
        return comment(f"{self.node.name}: {self.node.operator.describe()}")

    def parameters(self, with_arrays: bool) -> str:
        """Parameters of the layer's function, or of the kernel that serves it."""
        names = ["in"] if len(self.inputs) == 1 else [f"in_{i}" for i in range(len(self.inputs))]
        overlaps = self.kernel.overlaps  # what may share memory is not restrict
        texts = [
            f"const {x.c_type} *{'' if i in overlaps else 'restrict '}{name}"
            for i, (x, name) in enumerate(zip(self.inputs, names, strict=True))
        ]
        texts.append(f"{self.output.c_type} *{'' if overlaps else 'restrict '}out")
        if self.kernel.scratch_bytes:
            texts.append("void *restrict scratch")
        if self.kernel.state_bytes:
            texts.append("void *restrict state")
        if with_arrays:
            texts += [f"const {arrays.c_type(value)} *restrict {key}" for key, value in self.kernel.arrays.items()]
        return ", ".join(texts)

    @property
    def arguments(self) -> str:
        """What the layer's function hands on to the kernel."""
        names = ["in"] if len(self.inputs) == 1 else [f"in_{i}" for i in range(len(self.inputs))]
        scratch = ["scratch"] if self.kernel.scratch_bytes else []
        state = ["state"] if self.kernel.state_bytes else []
        return ", ".join([*names, "out", *scratch, *state, *(name for name, _ in self.arrays.values())])


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
    kernels, kernel_of = _render_kernels(env, layers)
    routines = _render_routines(env, layers)
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
        "routines": routines,
        "needed": _needed(plan, [*routines, *kernels]),
        "kernels": kernels,
        "kernel_of": kernel_of,
        "inputs": _ends(plan, "input"),
        "outputs": _ends(plan, "output"),
        "blocks": blocks,
        "statements": [call for _, _, statements in blocks for call in statements],
        "keeps_rows": any(call.variant is None for block in calls(plan) for call in block.calls),
        "arena_bytes": plan.arena.size,
        "states": _states(plan),
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
    texts = {file: env.get_template(template).render(context) for file, template in files.items()}
    return texts | {"ggdq_runtime.h": (resources.root("firmware") / "runtime" / "ggdq_runtime.h").read_text()}


def _needed(plan: Plan, texts: Sequence[str]) -> str:
    """The compiler's macro for the instructions in the texts' assembly; "" where there is none."""
    if not any("asm" in text.lower() for text in texts):
        return ""
    if any(kernel.name == "helium" for kernel in plan.kernels.values()):
        return "__ARM_FEATURE_MVE"
    return {"dual": "__ARM_FEATURE_DSP", "accumulate": "__thumb2__", "single": "__thumb__"}[plan.core.multiplier]


def make_layers(plan: Plan, name: str) -> list[Layer]:
    """The layers of a plan, in order, with their names in C."""
    ends = [end.parameter for end in (*_ends(plan, "input"), *_ends(plan, "output"))]
    reserved = ("invoke", "push", "reset", "trace", "arena_size", "weights", *ends, *(f"{end}_t" for end in ends))
    units = list(_units(plan))
    short = unique_identifiers([unit.name for unit in units], reserved)
    index = {node.name: i for i, node in enumerate(plan.graph.nodes)}
    array_names = _array_names({f"ggdq_{name}_{short[unit.name]}": unit.kernel for unit in units})
    return [
        Layer(
            index[unit.node.name],
            unit.variant,
            unit.node,
            unit.kernel,
            unit.inputs,
            unit.output,
            f"ggdq_{name}",
            short[unit.name],
            array_names[f"ggdq_{name}_{short[unit.name]}"],
        )
        for unit in units
    ]


class _Unit(NamedTuple):
    """What becomes a function: a layer, or the parts of it that are alike."""

    name: str
    variant: int
    node: QuantizedNode
    kernel: Kernel
    inputs: tuple[Tensor, ...]
    output: Tensor


def _units(plan: Plan) -> Iterator[_Unit]:
    variants = {name: found for schedule in plan.schedules for name, found in schedule.variants.items()}
    for node in plan.layers:
        kernel, inputs, output = (
            plan.kernels[node.name],
            [_tensor(plan, x) for x in node.inputs],
            _tensor(plan, node.name),
        )
        if not isinstance(kernel, StripKernel):
            yield _Unit(node.name, 0, node, kernel, tuple(inputs), output)
            continue
        for number, (variant, own) in enumerate(zip(variants[node.name], kernel.variants, strict=True)):
            name = node.name if len(kernel.variants) == 1 else plan.graph.own_name(node.name, f"part_{number + 1}")
            lower = tuple(replace(x, shape=shape) for x, shape in zip(inputs, variant.inputs, strict=True))
            yield _Unit(name, number, part_node(node, variant), own, lower, replace(output, shape=variant.output))


def _array_names(kernels: Mapping[str, Kernel]) -> dict[str, dict[str, str]]:
    """By function, the C names of its kernel's constants; equal ones are one array, named after the first function's."""
    owners: dict[tuple[str, bytes], str] = {}
    return {
        function: {
            key: owners.setdefault((value.dtype.str, value.tobytes()), f"{function}_{key}")
            for key, value in kernel.arrays.items()
        }
        for function, kernel in kernels.items()
    }


def _tensor(plan: Plan, name: str) -> Tensor:
    return Tensor(name, plan.graph.shapes[name], plan.graph.by_name[name].format)


def _render_routines(env: jinja2.Environment, layers: list[Layer]) -> list[str]:
    """Texts of what the kernels call, each once, in the order of the first use."""
    texts = (
        env.get_template(routine.template).render(routine.parameters).strip("\n")
        for routine in shared(routine for layer in layers for routine in layer.kernel.routines)
    )
    return list(dict.fromkeys(texts))


def _render_kernels(env: jinja2.Environment, layers: list[Layer]) -> tuple[list[str], dict[str, str]]:
    """Texts of the kernels, each once however many layers share it, and the kernel's function name by the layer's."""
    functions: dict[str, str] = {}
    kernel_of: dict[str, str] = {}
    used: dict[str, int] = {}
    for layer in layers:
        text = env.get_template(layer.kernel.template).render(
            layer=layer,
            op=layer.node.operator,
            node=layer.node,
            inputs=layer.inputs,
            x=layer.inputs[0],
            y=layer.output,
            arrays=layer.kernel.arrays,
            kernel_name=_KERNEL_NAME,
            signature=f"static GGDQ_NOINLINE void {_KERNEL_NAME}({layer.parameters(with_arrays=True)})",
            **layer.kernel.parameters,
        )
        if text not in functions:
            base = f"{layer.prefix}_kernel_{layer.node.operator.name}_{layer.kernel.name}"
            used[base] = used.get(base, 0) + 1
            functions[text] = base if used[base] == 1 else f"{base}_{used[base]}"
        kernel_of[layer.function] = functions[text]
    return [text.replace(_KERNEL_NAME, function).strip("\n") for text, function in functions.items()], kernel_of


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
    words = [kind] if len(names) == 1 else [f"{kind}_{i}" for i in range(len(names))]
    tensors = [_frame(plan, name) if kind == "input" else _tensor(plan, name) for name in names]
    return [
        End(tensor, word, word.upper(), places[name]) for name, tensor, word in zip(names, tensors, words, strict=True)
    ]


def _frame(plan: Plan, name: str) -> Tensor:
    """What the network is given at a time of an input: all of it, or in a stream one frame."""
    tensor = _tensor(plan, name)
    return replace(tensor, shape=plan.graph.frame_shape(name)) if isinstance(plan.graph, StepGraph) else tensor


def _locations(plan: Plan) -> dict[str, str]:
    """For every node the C expression of the address, in the arena or in a ring, that holds its value."""
    holder, starts, pointers = storage(plan.graph), view_starts(plan.graph), _ring_names(plan)
    places = {}
    for node in plan.graph.nodes:
        bits, sign = node.format.storage_bits, "s" if node.format.signed else "u"
        held, start = holder[node.name], starts[node.name]
        place = plan.graph.placed.get(held)
        if place is None:
            places[node.name] = f"&arena.{sign}{bits}[{plan.arena.offsets[held] * 8 // bits + start}]"
        else:
            places[node.name] = f"window.{pointers[place.ring]} + {place.element + start}"
    return places


def _states(plan: Plan) -> list[tuple[int, int]]:
    """Offset in the arena and bytes of what each layer keeps from one inference to the next."""
    graph = plan.graph
    owners = {
        graph.state_owner(graph.by_name[name]): kernel for name, kernel in plan.kernels.items() if kernel.state_bytes
    }
    return [(plan.arena.offsets[state_buffer(graph, name)], kernel.state_bytes) for name, kernel in owners.items()]


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


def _address(place: int, advance: int, format_: Format) -> str:
    """The C expression of an address in the arena; ``advance``: bytes that it grows by from strip to strip."""
    bits, sign = format_.storage_bits, "s" if format_.signed else "u"
    more = f" + strip * {advance * 8 // bits}" if advance else ""
    return f"&arena.{sign}{bits}[{place * 8 // bits}{more}]"


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
    return [
        (block.title, block.turns, [_statement(functions, whole, call) for call in block.calls])
        for block in calls(plan)
    ]


def _statement(functions: Mapping[tuple[str, int], Layer], whole: Mapping[str, str], call: Call) -> _Statement:
    """``whole``: where the values of nodes lie, in a plan whose layers are all computed as a whole."""
    byte = Format(8, False, 1.0)
    advance = call.advance or (0,) * len(call.places)
    if call.variant is None:
        arguments = [_address(place, step, byte) for place, step in zip(call.places, advance, strict=True)]
        return _Statement("ggdq_keep_rows", ", ".join([*arguments, str(call.bytes)]), None, "", 0)
    layer = functions[call.layer, call.variant]
    formats = [*(x.format for x in layer.inputs), layer.output.format, byte, byte]
    arguments = [_address(place, step, form) for place, step, form in zip(call.places, advance, formats, strict=False)]
    for i, name in enumerate((*layer.node.inputs, layer.node.name)):
        arguments[i] = whole.get(name, arguments[i])
    return _Statement(layer.function, ", ".join(arguments), layer.index, arguments[call.output], call.bytes)
