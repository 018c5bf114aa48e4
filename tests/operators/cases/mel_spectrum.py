"""Logarithms of mel spectra; ../test_mel_spectrum.py compares them with the libraries that networks are trained with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.mel_spectrum import MelSpectrum
from ggdq_mcu.operators.shared.mel import SCALES, WINDOWS
from operators.cases import Cases, Layer
from operators.cases._layers import lowered


@st.composite
def layers(draw: Callable) -> Layer:
    """Windows of any length and spectra of any kind, of one to three frames, whose samples have any level."""
    size = draw(st.sampled_from([32, 64, 128, 256]))
    window, bands = draw(st.integers(8, size)), draw(st.integers(1, 9))
    operator = MelSpectrum(
        window=window,
        step=draw(st.integers(1, 2 * window)),
        bands=bands,
        coefficients=draw(st.integers(0, bands)),
        size=size,
        highest=draw(st.sampled_from([3000.0, 8000.0])),
        shape=draw(st.sampled_from(WINDOWS)),
        scale=draw(st.sampled_from(SCALES)),
        power=draw(st.booleans()),
        decibels=draw(st.booleans()),
        floor=draw(st.sampled_from([0.0, 1e-10, 1e-6, 1e-3])),
        added=draw(st.booleans()),
        orthonormal=draw(st.booleans()),
    )
    samples = window + draw(st.integers(0, 2)) * operator.step
    bits = draw(st.sampled_from([8, 16]))
    output = Format(bits, True, draw(st.floats(0.3, 1.0)) * (2.0**-9 if bits > 8 else 0.5), draw(st.integers(-9, 9)))
    layer = lowered(draw, operator, [(samples, 1)], sources=[Format(16, True, 1.0)], output=output)
    return Layer(**{**vars(layer), "samples": (layer.samples[0] >> draw(st.integers(0, 15)),)})


def check(layer: Layer, found: np.ndarray) -> None:
    """The float meaning, of which the sums of 64 bits are a part, within the rounding of 15-bit factors."""
    assert found.dtype == layer.output.dtype
    real = layer.operator.compute([layer.samples[0].astype(np.float32)], {}).astype(np.float64)
    exact = np.clip(layer.output.dequantize(np.array([0]))[0] * 0 + real / layer.output.step + layer.output.zero_point,
                    layer.output.low, layer.output.high)  # fmt: skip
    logs = 64 * layer.operator.bands**0.5 * (4.4 if layer.operator.decibels else 1) / layer.output.step
    assert np.all(np.abs(found - exact) <= 0.5 + logs * 2.0**-14 + 1e-2), layer


CASES = Cases(layers=layers(), check=check)
