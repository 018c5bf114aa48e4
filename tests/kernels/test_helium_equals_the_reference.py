"""Every kernel that a core with Helium may use computes exactly the integers of the reference, in QEMU."""

from __future__ import annotations

import numpy as np
import pytest
from emulated_library import LayerCase, network_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layer_cases import convolutions, dense_layers, depthwise_convolutions, layers, sums

from ggdq_mcu.boards import CORES
from ggdq_mcu.emulation.qemu_library import run_library
from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D

KINDS = {"convolution": convolutions(), "depthwise": depthwise_convolutions(), "dense": dense_layers(), "sum": sums()}
few = settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))


def check_equal_to_reference(cases: list[LayerCase], flags: tuple[str, ...] = ("-O2",)) -> None:
    _, plan, tried = network_of(cases, CORES["cortex-m55"])
    samples = [
        {f"in_{n}_{i}": case.samples[i][index] for n, case in enumerate(cases) for i in range(len(case.shapes))}
        for index in range(2)
    ]
    for index, outcome in enumerate(run_library(plan, samples, flags)):
        for case, name, kernel in tried:
            inputs = [values[index : index + 1] for values in case.samples]
            expected = case.operator.compute_integer(inputs, case.constants, list(case.sources), case.output)[0]
            np.testing.assert_array_equal(outcome.outputs[name], expected, f"{kernel.name}: {case}")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_layer(kind: str) -> None:
    @few
    @given(st.lists(KINDS[kind], min_size=4, max_size=16))
    def check(cases: list[LayerCase]) -> None:
        check_equal_to_reference(cases)

    check()


@pytest.mark.parametrize("flags", ["-O0", "-Os", "-O3"])
@settings(few, max_examples=1)
@given(cases=st.lists(layers, min_size=6, max_size=12))
def test_any_optimisation_level(flags: str, cases: list[LayerCase]) -> None:
    check_equal_to_reference(cases, (flags,))


def test_windows_taller_than_the_image_are_not_vectorized_by_the_compiler() -> None:
    # GCC 12 makes wrong masks of the conditions of such taps: rows -1, 0, 1 and 2 of an image of two.
    generator = np.random.default_rng(1)
    operator = DepthwiseConv2D(Size(4, 2), padding=Padding(1, 1, 0, 0))
    source, output = Format(8, False, 0.02, 83), Format(16, True, 0.02)
    constants = {
        "kernel": generator.integers(-128, 128, (4, 2, 8, 1)).astype(np.int8),
        "bias": np.zeros(8, np.int64),
        "shift": np.full(8, 3, np.int64),
        "wide": np.array(0),
    }
    image = generator.integers(0, 256, (2, 2, 7, 8)).astype(np.uint8)
    check_equal_to_reference([LayerCase(operator, ((2, 7, 8),), (source,), output, constants, (image,))])
