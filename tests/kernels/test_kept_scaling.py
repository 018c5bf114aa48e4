"""Layers in TFLite's arithmetic on small cores: which kernels they have, and channels with factors at the limits."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.kernels.cortex_m.kept_scaling import kept_layer
from ggdq_mcu.operators.shared.tflite_linear import TFLiteLinear
from ggdq_mcu.operators.tflite_conv2d import TFLiteConv2D
from ggdq_mcu.operators.tflite_dense import TFLiteDense
from ggdq_mcu.operators.tflite_depthwise_conv2d import TFLiteDepthwiseConv2D
from operators.cases import Layer
from operators.layers_in_c import check_equal_to_reference, network_of

SOURCE, OUTPUT = Format(8, True, 0.02, -3), Format(8, True, 0.05, 5)
#: A factor just below a half, a usual one, the smallest, and one that is zero: the last two beside biases that are far larger.
MULTIPLIERS, EXPONENTS = [2**31 - 1, 1 << 30, 1518500250, 0], [-1, -9, -31, 0]
BIASES = [-40, 700, (1 << 30) - 20000, -(1 << 30) + 20000]


def layer(operator: TFLiteLinear, shape: tuple[int, ...], kernel: tuple[int, ...], exponents: list[int]) -> Layer:
    random = np.random.default_rng(len(shape))
    constants = {
        "kernel": random.integers(-127, 128, kernel).astype(np.int8),
        "bias": np.array(BIASES),
        "multiplier": np.array(MULTIPLIERS),
        "exponent": np.array(exponents),
        "low": np.array(-128),
        "high": np.array(120),
    }
    image = random.integers(-128, 128, (2, *shape)).astype(np.int8)
    return Layer(operator, (shape,), (SOURCE,), OUTPUT, constants, (image,))


def layers(exponents: list[int]) -> list[Layer]:
    one = Padding(1, 1, 1, 1)
    return [
        layer(TFLiteDense(4), (13,), (13, 4), exponents),
        layer(TFLiteConv2D(Size(1, 1), 4), (3, 4, 8), (1, 1, 8, 4), exponents),
        layer(TFLiteConv2D(Size(3, 3), 4, padding=one), (5, 4, 8), (3, 3, 8, 4), exponents),
        layer(TFLiteConv2D(Size(3, 3), 4, padding=one), (5, 4, 3), (3, 3, 3, 4), exponents),
        layer(TFLiteDepthwiseConv2D(Size(3, 3), padding=one), (50, 40, 4), (3, 3, 4, 1), exponents),
    ]


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m3", "cortex-m0plus"])
def test_channels_with_factors_at_the_limits(core: str) -> None:
    tried = check_equal_to_reference(layers(EXPONENTS), core)
    convolutions = {"tflite_conv2d five_pixels"} if core != "cortex-m0plus" else set()
    planes = {"tflite_depthwise_conv2d planes"} if core == "cortex-m4" else set()
    assert {"tflite_dense four_channels", *convolutions, *planes} <= tried


def test_factors_of_a_half_and_more_have_other_kernels() -> None:
    graph, _, _ = network_of(layers([0, -9, -31, 0]), CORES["host"])
    for node in graph.nodes:
        if isinstance(node.operator, TFLiteLinear):
            assert kept_layer(node.operator, graph.layer(node)) is None
