"""Dense layers in TFLite's arithmetic: rounded twice, or, for desktops, in double precision and once, from integers alone."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tflite_definitions import (
    Op,
    clipped,
    computed,
    constant,
    fused,
    half_away,
    integers,
    kept,
    points,
    scaled,
    scales,
    tensor,
)

from ggdq_mcu.sources.tflite_arithmetic import multipliers_once, scaled_once


@settings(max_examples=25)
@pytest.mark.parametrize("micro", [False, True])
@given(data=st.data(), s_in=scales, s_out=scales, z_in=points, z_out=points, activation=fused)
def test_integers_are_the_definition(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, s_in: float, s_out: float, z_in: int, z_out: int,
    activation: int, micro: bool,
) -> None:  # fmt: skip
    random = np.random.default_rng(data.draw(st.integers(0, 999)))
    w, b = random.integers(-127, 128, (4, 6)), random.integers(-5000, 5000, 4)
    steps = (2.0 ** random.uniform(-9, -5, 4)).astype(np.float32)
    tensors = [
        tensor((1, 6), s_in, z_in), constant(w, "int8", scales=steps, zero_points=[0] * 4),
        constant(b, "int32", scales=[1.0] * 4), tensor((1, 4), s_out, z_out),
    ]  # fmt: skip
    op = Op("FULLY_CONNECTED", (0, 1, 2), (3,), "FullyConnectedOptions", {"FusedActivationFunction": activation})
    network = kept(tmp_path_factory.getbasetemp(), tensors, op, [0], micro)
    q = integers(data.draw, (6,))
    found = computed(network, q)
    for n, f in np.ndindex(found.shape):
        total = int(b[f]) + sum(int(w[f, c]) * (int(q[n, c]) - z_in) for c in range(6))
        factor = float(np.float32(s_in)) * float(steps[f]) / float(np.float32(s_out))
        value = scaled(total, factor) if micro else half_away(Fraction(total * factor))
        assert found[n, f] == clipped(value + z_out, activation, s_out, z_out)


#: Any factor, and those whose products lie at a half, where double precision may round to it.
at_a_half = st.builds(lambda step, x: min((step + 0.5) / x, 4.0), st.integers(0, 256), st.integers(1, 2**24))
factors = st.floats(2**-24, 4) | at_a_half


@example(factor=2.3, bound=5, step=11, off=0)  # 5 * 2.3 is below 11.5, and 11.5 in double precision
@given(factor=factors, bound=st.integers(1, 2**24), step=st.integers(0, 256), off=st.integers(-3, 3))
def test_one_multiplier_rounds_every_sum_as_double_precision_does(
    factor: float, bound: int, step: int, off: int
) -> None:
    found = multipliers_once(np.array([factor]), np.array([bound]))
    if found is None:
        assert contradiction(factor, bound)
        return
    x = min(max(int((step + 0.5) / factor) + off, 0), bound)
    for sign in (1, -1):
        wanted = half_away(Fraction(sign * x * factor))
        got = int(scaled_once(np.array([sign * x]), *found)[0])
        assert got == wanted or min(abs(got), abs(wanted)) > 256  # beyond what 8 bits hold


def contradiction(factor: float, bound: int) -> bool:
    """Does double precision round x * factor to halves as no single factor would?"""
    halves = [Fraction(2 * k + 1, 2) for k in range(258)]
    around = {min(max(int(half / Fraction(factor)) + off, 1), bound) for half in halves for off in (-1, 0, 1, 2)}
    least = max((half_away(Fraction(x * factor)) - Fraction(1, 2)) / x for x in around)
    most = min((half_away(Fraction(x * factor)) + Fraction(1, 2)) / x for x in around)
    return least >= most
