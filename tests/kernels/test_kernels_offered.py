"""Which kernels a layer may use on which core: what planning chooses from."""

from __future__ import annotations

import numpy as np
import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.graph import Format
from ggdq_mcu.graph.kernel import shared
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.shared.linear import Linear
from operators.cases import Layer
from operators.layers_in_c import network_of

U8 = Format(8, False, 0.02)
S16 = Format(16, True, 0.02)
SAME = Padding(1, 1, 1, 1)


def layer(
    operator: Linear,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    weight: int = 3,
    bias: int = 0,
    source: Format = U8,
) -> Layer:
    channels = operator.by_output(np.zeros(kernel)).shape[1]
    constants = {
        "kernel": np.full(kernel, weight, np.int8),
        "bias": np.full(channels, bias, np.int64),
        "shift": np.full(channels, 8, np.int64),
        "wide": np.array(0),
    }
    return Layer(operator, (shape,), (source,), U8, constants, ())


POINTWISE = layer(Conv2D(Size(1, 1), 4), (5, 5, 8), (1, 1, 8, 4))
THREE = layer(Conv2D(Size(3, 3), 4, padding=SAME), (6, 6, 16), (3, 3, 16, 4))
DEPTHWISE = layer(DepthwiseConv2D(Size(3, 3), padding=SAME), (6, 6, 8), (3, 3, 8, 1))
DENSE = layer(Dense(12), (64,), (64, 12))


def offered(case: Layer, core: str) -> list[str]:
    """Names of the kernels: the portable one, then the others in alphabetical order."""
    first, *others = (kernel.name for _, _, kernel in network_of([case], CORES[core])[2])
    return [first, *sorted(others)]


@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m7", "cortex-m33"])
def test_dual_multiplies(core: str) -> None:
    assert offered(POINTWISE, core) == ["portable", "five_pixels"]
    assert offered(THREE, core) == ["portable", "five_pixels", "winograd_4", "winograd_8"]
    assert offered(DEPTHWISE, core) == ["portable", "padded_plane", "planes"]
    assert offered(DENSE, core) == ["portable", "four_channels"]


@pytest.mark.parametrize("core", ["cortex-m55", "cortex-m85"])
def test_helium_beside_dual_multiplies(core: str) -> None:
    assert offered(POINTWISE, core) == ["portable", "five_pixels", "helium"]
    assert offered(THREE, core) == ["portable", "five_pixels", "helium", "winograd_4", "winograd_8"]
    assert offered(DEPTHWISE, core) == ["portable", "helium", "padded_plane", "planes"]
    assert offered(DENSE, core) == ["portable", "four_channels", "helium"]


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3"])
def test_no_dual_multiplies(core: str) -> None:
    assert offered(THREE, core) == ["portable", "five_pixels"]
    assert offered(DEPTHWISE, core) == ["portable", "padded_plane"]
    assert offered(DENSE, core) == ["portable", "four_channels"]


@pytest.mark.parametrize("core", ["host", "rv32imc"])
def test_other_cores_get_plain_c(core: str) -> None:
    assert offered(THREE, core) == ["portable"]
    assert offered(DEPTHWISE, core) == ["portable", "padded_plane"]
    assert offered(DENSE, core) == ["portable"]


def test_weights_are_packed_unless_a_sum_needs_the_bits_or_a_pair_does_not_fit() -> None:
    def packed(case: Layer) -> bool:
        kernel = network_of([case], CORES["cortex-m4"])[2][1][2]
        return bool(kernel.routines[-1].parameters["form"] == "packed")

    shape, kernel = (5, 5, 8), (1, 1, 8, 4)
    operator = POINTWISE.operator
    assert isinstance(operator, Linear)
    assert packed(POINTWISE)
    assert packed(layer(operator, shape, kernel, bias=(1 << 23) - 1 - 8 * 3 * 255))
    assert not packed(layer(operator, shape, kernel, bias=(1 << 23) - 8 * 3 * 255))
    assert packed(layer(operator, shape, kernel, weight=-127))
    assert not packed(layer(operator, shape, kernel, weight=-128))


def test_sixteen_bit_inputs_take_the_portable_kernel() -> None:
    assert offered(layer(Conv2D(Size(1, 1), 4), (5, 5, 8), (1, 1, 8, 4), source=S16), "cortex-m4") == ["portable"]


def test_layers_share_the_routine_that_takes_the_most_channels() -> None:
    wide = layer(Conv2D(Size(3, 3), 4, padding=SAME), (6, 6, 32), (3, 3, 32, 4))
    kernels = [
        next(k for *_, k in network_of([case], CORES["cortex-m4"])[2] if k.name == "winograd_4")
        for case in (THREE, wide)
    ]
    found = [r for r in shared(r for k in kernels for r in k.routines) if "winograd_dot" in r.template]
    assert [routine.parameters["most_channels"] for routine in found] == [32]
