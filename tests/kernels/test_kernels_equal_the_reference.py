"""Every kernel on every emulated core computes exactly the integers of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.permute import Permute
from operators.cases import Layer, examples, with_layers
from operators.layers_in_c import check_equal_to_reference

KINDS = [name for name in with_layers() if any(word in name for word in ("conv2d", "dense", "add", "pool2d"))]


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33"])
def test_operators_with_kernels_of_single_cores(core: str) -> None:
    check_equal_to_reference([layer for name in KINDS for layer in examples(name, 16, 100 + len(core))], core)


@pytest.mark.parametrize("name", ["gru", "lstm", "simple_rnn"])
def test_recurrent_layers_with_dual_multiplies(name: str) -> None:
    tried = check_equal_to_reference(examples(name, 12, 300), "cortex-m4")
    assert f"{name} dual" in tried


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3", "cortex-m4"])
@pytest.mark.parametrize("flags", ["-O0", "-Os", "-O3"])
def test_any_optimisation_level(core: str, flags: str) -> None:
    check_equal_to_reference([layer for name in KINDS for layer in examples(name, 4, 200)], core, (flags,))


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
    check_equal_to_reference([Layer(operator, ((1, 1, 2),), (source,), source, constants, (image,))], core)


@pytest.mark.parametrize("core", ["cortex-m3", "cortex-m4"])
def test_a_kernel_that_gcc_took_for_one_without_effect(core: str) -> None:
    form = Format(8, False, 0.02)
    image = np.arange(64, dtype=np.uint8).reshape(2, 1, 2, 16)
    check_equal_to_reference([Layer(Permute((1, 3, 2)), ((1, 2, 16),), (form,), form, {}, (image,))], core)


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
        cases.append(Layer(Conv2D(Size(3, 3), 1), ((4, 4, depth),), (form,), form, constants, (image,)))
    for case in cases:
        check_equal_to_reference([case], "cortex-m4", ("-Os",))
