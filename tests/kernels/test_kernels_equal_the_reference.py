"""Every kernel on every emulated core computes exactly the integers of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from emulated_library import LayerCase, check_equal_to_reference
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joining_cases import joins, maps, moves, products
from layer_cases import (
    convolutions,
    dense_layers,
    depthwise_convolutions,
    layers,
    pools,
    sums,
    winograd_convolutions,
)
from recurrent_cases import embeddings, recurrent_layers

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.permute import Permute

KINDS = {
    "convolution": convolutions(),
    "winograd": winograd_convolutions(),
    "depthwise": depthwise_convolutions(),
    "dense": dense_layers(),
    "sum": sums(),
    "pool": pools(),
    "join": joins(),
    "product": products(),
    "map": maps(),
    "move": moves(),
    "recurrent": st.one_of(recurrent_layers(), recurrent_layers(), embeddings()),
}
thorough = settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
few = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_layer(core: str, kind: str) -> None:
    @(few if kind == "recurrent" else thorough)
    @given(st.lists(KINDS[kind], min_size=1, max_size=8))
    def check(cases: list[LayerCase]) -> None:
        check_equal_to_reference(cases, core)

    check()


@pytest.mark.parametrize("core", ["cortex-m7", "cortex-m33"])
@few
@given(cases=st.lists(layers, min_size=1, max_size=12))
def test_cores_of_the_same_instructions(core: str, cases: list[LayerCase]) -> None:
    check_equal_to_reference(cases, core)


every_kind = st.tuples(*(st.lists(kind, min_size=1, max_size=3) for kind in KINDS.values()))


@few
@given(kinds=every_kind)
def test_every_kind_of_layer_in_portable_c_on_riscv(kinds: tuple[list[LayerCase], ...]) -> None:
    check_equal_to_reference([case for cases in kinds for case in cases], "rv32imc")


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4"])
@pytest.mark.parametrize("flags", ["-O0", "-Os", "-O3"])
@few
@given(cases=st.lists(layers, min_size=1, max_size=8))
def test_any_optimisation_level(core: str, flags: str, cases: list[LayerCase]) -> None:
    check_equal_to_reference(cases, core, (flags,))


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4"])
def test_windows_that_see_padding_alone(core: str) -> None:
    source = Format(8, False, 0.02, 7)
    operator = DepthwiseConv2D(Size(1, 1), strides=Size(3, 3), padding=Padding(2, 0, 2, 0))
    constants = {
        "kernel": np.full((1, 1, 2, 1), 5, np.int8),
        "bias": np.zeros(2, np.int64),
        "shift": np.zeros(2, np.int64),
        "wide": np.array(0),
    }
    image = np.full((2, 1, 1, 2), 200, np.uint8)
    check_equal_to_reference([LayerCase(operator, ((1, 1, 2),), (source,), source, constants, (image,))], core)


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4"])
def test_a_kernel_that_gcc_took_for_one_without_effect(core: str) -> None:
    form = Format(8, False, 0.02)
    image = np.arange(64, dtype=np.uint8).reshape(2, 1, 2, 16)
    check_equal_to_reference([LayerCase(Permute((1, 3, 2)), ((1, 2, 16),), (form,), form, {}, (image,))], core)


def test_assembly_begins_at_a_word_where_functions_need_not() -> None:
    form = Format(8, False, 0.02)
    cases = []
    for depth in (8, 16):
        constants = {
            "kernel": np.random.default_rng(depth).integers(-127, 128, (3, 3, depth, 1)).astype(np.int8),
            "bias": np.full(1, 1 << 12),
            "shift": np.full(1, 4),
            "wide": np.array(0),
        }
        image = np.random.default_rng(depth).integers(0, 256, (2, 4, 4, depth)).astype(np.uint8)
        cases.append(LayerCase(Conv2D(Size(3, 3), 1), ((4, 4, depth),), (form,), form, constants, (image,)))
    for case in cases:
        check_equal_to_reference([case], "cortex-m4", ("-Os",))
