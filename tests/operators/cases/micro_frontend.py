"""Features of TensorFlow Lite Micro's audio front end; ../test_micro_frontend.py says what they are equal to."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.micro_frontend import MicroFrontend
from operators.cases import Cases, Layer
from operators.cases._layers import lowered
from operators.draws import formats


@st.composite
def layers(draw: Callable) -> Layer:
    """Windows of any length, one to three of them, of samples of any size; kept from one inference to the next, or not."""
    window, channels = draw(st.integers(40, 600)), draw(st.integers(1, 12))
    step, frames = draw(st.integers(1, window)), draw(st.integers(1, 3))
    carried = draw(st.booleans())
    operator = MicroFrontend(window=window, step=step, channels=channels, lowest=100.0, highest=7000.0, carried=carried)
    samples = frames * step if carried else window + (frames - 1) * step
    layer = lowered(draw, operator, [(samples,)], sources=[Format(16, True, 1.0)], output=draw(formats((8, 16))))
    shift = draw(st.integers(0, 14))
    return Layer(**{**vars(layer), "samples": (layer.samples[0] >> shift,)})


def check(layer: Layer, found: np.ndarray) -> None:
    """The features of the float meaning, which are integers too, in the output's format."""
    assert found.dtype == layer.output.dtype
    real = layer.operator.compute([layer.samples[0].astype(np.float32)], {}).astype(np.float64)
    exact = np.clip(real / layer.output.step + layer.output.zero_point, layer.output.low, layer.output.high)
    span = 1420 * layer.operator.unit / float(layer.output.step)
    assert np.all(np.abs(found - exact) <= 0.5 + span * 2.0**-12 + 1e-3), layer


CASES = Cases(layers=layers(), check=check)
