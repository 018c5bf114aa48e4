"""The layers of a planned network as the templates see them: tensors, kernels, names in C."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

from ggdq_mcu.codegen import arrays
from ggdq_mcu.codegen.names import comment, unique_identifiers
from ggdq_mcu.graph import Format, QuantizedNode
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.strip_kernels import StripKernel, part_node


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


def make_layers(plan: Plan, name: str) -> list[Layer]:
    """The layers of a plan, in order, with their names in C."""
    ends = [*parameter_names("input", plan.graph.inputs), *parameter_names("output", plan.graph.outputs)]
    reserved = ("invoke", "push", "reset", "trace", "arena_size", "weights", *ends, *(f"{end}_t" for end in ends))
    units = list(_units(plan))
    short = unique_identifiers([unit.name for unit in units], reserved, ("kernel_", "routine_"))
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
            [tensor_of(plan, x) for x in node.inputs],
            tensor_of(plan, node.name),
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


def parameter_names(kind: str, names: Sequence[str]) -> list[str]:
    """What the network's inputs or outputs are called: ``kind``, with a number where there are several."""
    return [kind] if len(names) == 1 else [f"{kind}_{i}" for i in range(len(names))]


def tensor_of(plan: Plan, name: str) -> Tensor:
    """The value of a node."""
    return Tensor(name, plan.graph.shapes[name], plan.graph.by_name[name].format)
