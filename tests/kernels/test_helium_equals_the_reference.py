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
