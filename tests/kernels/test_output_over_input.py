"""Kernels that may write their output over their input compute the same integers when they do."""

from __future__ import annotations

from math import lcm

import numpy as np
import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.layers import make_layers
from ggdq_mcu.emulation.unicorn_machine import Machine
from ggdq_mcu.graph.kernel import Kernel
from operators.cases import Layer, examples
from operators.layers_in_c import compiled, network_of

KINDS = ("conv2d", "depthwise_conv2d", "dense", "add", "average_pool2d", "max_pool2d")
ALIGNMENT = 4
GUARD = b"\xa5" * 32
TENSORS, OTHER, SCRATCH = 0x2400_1000, 0x2410_0000, 0x2420_0000


def run_over(machine: Machine, function: str, case: Layer, kernel: Kernel, index: int, more: int) -> np.ndarray:
    """Output of the first sample, begun ``more`` steps further before input ``index`` than the kernel needs."""
    overlap = kernel.overlaps[index]
    multiple = lcm(ALIGNMENT, overlap.multiple)
    distance = -(-overlap.lead // multiple) * multiple + more * multiple
    shape = case.operator.output_shape(*case.shapes)
    size = int(np.prod(shape)) * case.output.storage_bits // 8
    arguments = []
    over = case.samples[index][0].tobytes()
    machine.write(TENSORS - len(GUARD), GUARD + bytes(max(size, distance + len(over))) + GUARD)
    for i, values in enumerate(case.samples):
        arguments.append(TENSORS + distance if i == index else OTHER + 0x8000 * i)
        machine.write(arguments[-1], values[0].tobytes())
    arguments.append(TENSORS)
    if kernel.scratch_bytes:
        machine.write(SCRATCH - len(GUARD), GUARD + bytes(kernel.scratch_bytes) + GUARD)
        arguments.append(SCRATCH)
    machine.call(function, *arguments)
    assert machine.read(TENSORS - len(GUARD), len(GUARD)) == GUARD
    assert machine.read(TENSORS + max(size, distance + len(over)), len(GUARD)) == GUARD
    if kernel.scratch_bytes:
        assert machine.read(SCRATCH - len(GUARD), len(GUARD)) == GUARD
        assert machine.read(SCRATCH + kernel.scratch_bytes, len(GUARD)) == GUARD
    return np.frombuffer(machine.read(TENSORS, size), case.output.dtype).reshape(shape)


def check(cases: list[Layer], core: str) -> None:
    _, plan, tried = network_of(cases, CORES[core])
    function = {layer.node.name: layer.function for layer in make_layers(plan, "layers")}
    machine = compiled(plan)
    for case, name, kernel in tried:
        expected = case.operator.compute_integer(
            [x[:1] for x in case.samples], case.constants, list(case.sources), case.output
        )
        for index in kernel.overlaps:
            for more in (0, 1, 5):
                got = run_over(machine, function[name], case, kernel, index, more)
                np.testing.assert_array_equal(got, expected[0], f"{kernel.name}, input {index}, {more} more: {case}")


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4"])
def test_output_over_input(core: str) -> None:
    check([layer for name in KINDS for layer in examples(name, 16, 400)], core)
