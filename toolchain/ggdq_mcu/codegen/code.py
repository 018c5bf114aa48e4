"""How do kernels and the routines that they call become text? C for the network's file, assembly for a file of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jinja2

from ggdq_mcu.codegen.layers import Layer
from ggdq_mcu.graph.kernel import shared

_KERNEL_NAME = "GGDQ_KERNEL_NAME"  # stands for the function's name until equal kernels have been merged
_ASSEMBLY = ".S.j2"


@dataclass(frozen=True)
class Code:
    """The code of a network besides its layers' functions, each text once.

    ``routines``: C that kernels share, declarations of what is in assembly among it, in the order of the first use;
    ``kernels``: C; ``kernel_of``: the kernel's function by the layer's; ``assembly``: functions in assembly.
    """

    routines: Sequence[str]
    kernels: Sequence[str]
    kernel_of: dict[str, str]
    assembly: Sequence[str]

    @property
    def simd(self) -> bool:
        """Does the C call functions of ggdq_simd.h?"""
        return any("simd_" in text for text in (*self.routines, *self.kernels))


def render_code(env: jinja2.Environment, layers: Sequence[Layer]) -> Code:
    """Renders the kernels of ``layers`` and what they call."""
    routines, assembly = _render_routines(env, layers)
    kernels, own, kernel_of = _render_kernels(env, layers)
    return Code(routines, kernels, kernel_of, [*assembly, *own])


def _render_routines(env: jinja2.Environment, layers: Sequence[Layer]) -> tuple[list[str], list[str]]:
    """C and assembly of what the kernels call; assembly has a declaration among the C."""
    texts: list[str] = []
    assembly: list[str] = []
    for routine in shared(routine for layer in layers for routine in layer.kernel.routines):
        parameters = {"prefix": layers[0].prefix, **routine.parameters}
        template = env.get_template(routine.template)
        if routine.template.endswith(_ASSEMBLY):
            module = template.make_module(parameters)
            texts.append(f"{module.declaration}; /* in assembly */")  # type: ignore[attr-defined]
            assembly.append(str(module).strip("\n"))
        else:
            texts.append(template.render(parameters).strip("\n"))
    return list(dict.fromkeys(texts)), list(dict.fromkeys(assembly))


def _render_kernels(env: jinja2.Environment, layers: Sequence[Layer]) -> tuple[list[str], list[str], dict[str, str]]:
    """C and assembly of the kernels, each once however many layers share it, and the kernel's function by the layer's."""
    functions: dict[tuple[str, ...], str] = {}
    kernel_of: dict[str, str] = {}
    used: dict[str, int] = {}
    for layer in layers:
        context = {
            "prefix": layer.prefix,
            "layer": layer,
            "op": layer.node.operator,
            "node": layer.node,
            "inputs": layer.inputs,
            "x": layer.inputs[0],
            "y": layer.output,
            "arrays": layer.kernel.arrays,
            "kernel_name": _KERNEL_NAME,
            "signature": f"static GGDQ_NOINLINE void {_KERNEL_NAME}({layer.parameters(with_arrays=True)})",
            **layer.kernel.parameters,
        }
        templates = (layer.kernel.template, layer.kernel.assembly)
        texts = tuple(env.get_template(name).render(context).strip("\n") if name else "" for name in templates)
        if texts not in functions:
            base = f"{layer.prefix}_kernel_{layer.node.operator.name}_{layer.kernel.name}"
            used[base] = used.get(base, 0) + 1
            functions[texts] = base if used[base] == 1 else f"{base}_{used[base]}"
        kernel_of[layer.function] = functions[texts]
    named = [[text.replace(_KERNEL_NAME, function) for text in texts] for texts, function in functions.items()]
    return [kernel for kernel, _ in named], [assembly for _, assembly in named if assembly], kernel_of
