"""Softmax in TFLite's arithmetic: its exponentials, its reciprocal, and what comes of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tflite_definitions import Op, computed, integers, kept, points, scales, tensor

from ggdq_mcu.operators.tflite_softmax import exponentials, reciprocal


@given(step=st.floats(2**-12, 8))
def test_exponentials_have_a_relative_error_of_a_thousandth(step: float) -> None:
    real = np.exp(-step * np.arange(256))
    found = exponentials(step) / 2.0**31
    np.testing.assert_allclose(found, real, rtol=1e-3, atol=2.0**-22)  # exp(-15.5) and less may be 0
    assert np.all(found[step * np.arange(256) > 31.5] == 0)
    assert found[0] == (2**31 - 1) / 2**31


@given(total=st.integers(2**19, 2**31 - 1))
def test_reciprocal_is_exact_to_27_bits(total: int) -> None:
    share, excess = reciprocal(np.array([total]))
    real = 2.0**19 / total
    np.testing.assert_allclose(share[0] / 2.0**31 / 2.0 ** excess[0], real, rtol=2.0**-27)


@settings(max_examples=40)
@given(data=st.data(), scale=scales, z=points, count=st.integers(1, 30))
def test_integers_are_near_the_softmax(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, scale: float, z: int, count: int
) -> None:
    op = Op("SOFTMAX", (0,), (1,), "SoftmaxOptions", {"Beta": 1.0})
    tensors = [tensor((1, count), scale, z), tensor((1, count), 1 / 256, -128)]
    network = kept(tmp_path_factory.getbasetemp(), tensors, op, [0])
    q = integers(data.draw, (count,))
    found = computed(network, q)
    x = (q.astype(float) - z) * scale
    real = np.exp(x - x.max(axis=-1, keepdims=True))
    real = np.minimum(real / real.sum(axis=-1, keepdims=True) * 256 - 128, 127)
    assert np.abs(found - real).max() <= 0.75  # half a step, and the exponentials' thousandth of 256
