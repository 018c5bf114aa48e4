"""Every kernel that a core with Helium may use computes exactly the integers of the reference, in QEMU."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from operators.cases import Layer, examples
from operators.layers_in_c import check_equal_to_reference

KINDS = ("conv2d", "depthwise_conv2d", "dense", "add")


@pytest.mark.parametrize("flags", ["-O0", "-Os", "-O2", "-O3"])
def test_operators_with_kernels_for_helium(flags: str) -> None:
    layers = [layer for name in KINDS for layer in examples(name, 12, 300)]
    check_equal_to_reference(layers, "cortex-m55", (flags,))


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
    check_equal_to_reference([Layer(operator, ((2, 7, 8),), (source,), output, constants, (image,))], "cortex-m55")
