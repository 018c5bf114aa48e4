"""Functions of one value, in floats and as tables of integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import formats
from hypothesis import given, settings
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.activation import FUNCTIONS, Activation

functions = st.sampled_from(sorted(FUNCTIONS))


def every(form: Format) -> np.ndarray:
    """Every integer of the format."""
    return np.arange(form.low, form.high + 1).astype(form.dtype)[None]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_function_is_finite_and_silent_far_from_zero(name: str) -> None:
    x = np.array([-80.0, -1.0, 0.0, 1.0, 80.0])
    with np.errstate(all="raise", under="ignore"):
        assert np.all(np.isfinite(FUNCTIONS[name](x, 0.5)))


@pytest.mark.parametrize(
    ("name", "parameter", "x", "y"),
    [
        ("sigmoid", 0, 0.0, 0.5),
        ("tanh", 0, 0.5, 0.46211715726),
        ("leaky_relu", 0.25, -2.0, -0.5),
        ("thresholded_relu", 1.0, 0.75, 0.0),
        ("thresholded_relu", 1.0, 1.0, 0.0),
        ("elu", 2.0, -1.0, -1.26424111766),
        ("selu", 0, -1.0, -1.11133073835),
        ("gelu", 0, 1.0, 0.84134474607),
        ("gelu_tanh", 0, 1.0, 0.84119199),
        ("silu", 0, 1.0, 0.73105857863),
        ("softplus", 0, 0.0, 0.69314718056),
        ("softsign", 0, -1.0, -0.5),
        ("log_sigmoid", 0, 0.0, -0.69314718056),
        ("mish", 0, 1.0, 0.86509838827),
        ("hard_sigmoid", 0, 1.5, 0.75),
        ("hard_sigmoid", 0.2, 1.0, 0.7),
        ("hard_silu", 0, 1.5, 1.125),
        ("exponential", 0, 1.0, 2.71828182846),
    ],
)
def test_function_has_its_known_value(name: str, parameter: float, x: float, y: float) -> None:
    np.testing.assert_allclose(FUNCTIONS[name](np.array([x]), parameter), [y], rtol=1e-7)


def test_slope_below_a_threshold_has_its_known_values() -> None:
    operator = Activation("thresholded_relu", 0.5, 0.25, high=2.0)
    x = np.array([[-3.5, 0.25, 0.5, 0.75, 2.0, 5.0]])
    np.testing.assert_array_equal(operator.compute([x], {}), [[-1.0, -0.0625, 0.0, 0.75, 2.0, 2.0]])
    assert operator.describe() == "Activation thresholded_relu 0.5 slope 0.25, clip -inf..2"


@settings(deadline=None)
@given(name=functions, source=formats((8,)), output=formats())
def test_eight_bit_table_is_the_rounded_function(name: str, source: Format, output: Format) -> None:
    operator = Activation(name, 0.5, high=3.0)
    q = every(source)
    found = operator.compute_integer([q], operator.lower({}, [source], output, [(256,)]), [source], output)
    np.testing.assert_array_equal(found, output.quantize(operator.compute([source.dequantize(q)], {})))
    assert found.dtype == output.dtype


@settings(deadline=None)
@given(source=formats(), output=formats(), threshold=st.floats(0.0, 4.0), slope=st.floats(0.0, 2.0))
def test_slope_below_a_threshold_is_in_the_table(
    source: Format, output: Format, threshold: float, slope: float
) -> None:
    operator = Activation("thresholded_relu", threshold, slope, high=3.0)
    q = every(source)
    found = operator.compute_integer([q], operator.lower({}, [source], output, [(q.size,)]), [source], output)
    x = source.dequantize(q)
    wanted = output.quantize(np.where(x > threshold, np.minimum(x, 3.0), slope * (x - threshold)))
    points = slice(None, None, 128 if source.bits > 8 else 1)
    np.testing.assert_array_equal(found[:, points], wanted[:, points])


@settings(deadline=None, max_examples=30)
@given(name=functions, source=formats((16,)), output=formats())
def test_sixteen_bit_table_is_exact_at_its_points_and_between_them_otherwise(
    name: str, source: Format, output: Format
) -> None:
    operator = Activation(name, 0.5)
    constants = operator.lower({}, [source], output, [(65536,)])
    found = operator.compute_integer([every(source)], constants, [source], output)[0].astype(int)
    points = output.quantize(operator.compute([source.dequantize(every(source)[:, ::128])], {}))[0].astype(int)
    np.testing.assert_array_equal(found[::128], points)
    segments = found.reshape(-1, 128)[:-1]
    assert np.all(segments >= np.minimum(points[:-1], points[1:])[:, None])
    assert np.all(segments <= np.maximum(points[:-1], points[1:])[:, None])


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("name", ["sigmoid", "hard_sigmoid", "tanh", "softsign"])
def test_fixed_format_holds_the_range_of_the_function(name: str, bits: int) -> None:
    form = Activation(name).fixed_format([Format(bits, True, 0.1)], bits)
    assert form is not None
    ends = FUNCTIONS[name](np.array([-100.0, 100.0]), 0.0)
    assert np.all(np.abs(form.dequantize(form.quantize(ends)) - ends) <= form.step + 0.01)
