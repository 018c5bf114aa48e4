"""Ranges of feature maps that only activations read."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import chain

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Format, Node
from ggdq_mcu.operators.activation import FUNCTIONS, Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.formats import FormatChoice
from ggdq_mcu.quantization.histogram import Histogram
from ggdq_mcu.quantization.narrowing import narrowed
from ggdq_mcu.quantization.options import Options

VALUES = np.random.default_rng(0).normal(0, 3, (40_000, 1))
FORM = Format(8, True, 12 / 127)


def behind(function: str, form: Format) -> float:
    """Mean squared error behind a function."""
    wanted, found = (
        Activation(function, 1.0).compute([x], {}) for x in (VALUES, form.dequantize(form.quantize(VALUES)))
    )
    return float(np.mean((found - wanted) ** 2))


def narrowed_for(*functions: str, weight: float = 1.0) -> Format:
    activations = [Activation(function, 1.0) for function in functions]
    computed = [lambda x, a=a: a.compute([x], {}) for a in activations]
    return narrowed(FORM, Histogram.of(VALUES).distribution(), computed, weight)


@pytest.mark.parametrize("function", ["silu", "gelu", "sigmoid", "tanh", "elu", "hard_silu"])
def test_levels_go_where_the_function_is_not_flat(function: str) -> None:
    form = narrowed_for(function)
    assert form.step < 0.9 * FORM.step
    assert behind(function, form) < 0.8 * behind(function, FORM)


@pytest.mark.parametrize("function", ["leaky_relu", "softsign"])
def test_functions_that_end_in_no_constant_keep_the_range(function: str) -> None:
    assert narrowed_for(function) == FORM


def test_a_side_is_narrowed_only_where_all_functions_are_flat() -> None:
    assert narrowed_for("silu", "leaky_relu") == FORM
    both = narrowed_for("silu", "sigmoid")
    assert both.dequantize(np.array(both.high)) >= 0.99 * FORM.dequantize(np.array(FORM.high))


@given(st.sampled_from(sorted(FUNCTIONS)), st.sampled_from([1.0, 8.0]))
def test_any_function_gets_a_format_that_holds_zero(function: str, weight: float) -> None:
    form = narrowed_for(function, weight=weight)
    assert form.low <= form.zero_point <= form.high
    assert 0 < form.step <= FORM.step * (1 + 1e-9)


def test_maps_that_others_read_too_keep_their_range() -> None:
    nodes = (Node("map", Clip(), ("image",)), Node("silu", Activation("silu"), ("map",)))
    data = DataSet({"image": VALUES.reshape(400, 10, 10, 1).astype(np.float32)})
    steps = {}
    for name, more in (("alone", ()), ("shared", (Node("sum", Add(), ("map", "silu")),))):
        graph = chain(*nodes, *more, shape=(10, 10, 1))
        choice = FormatChoice(graph, calibrate(graph, data), Options(), {})
        steps[name] = choice.format_of(graph.by_name["map"], [FORM]).step
    assert steps["alone"] < steps["shared"]
