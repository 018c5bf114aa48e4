"""Trained slopes of negative values."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.prelu import PReLU
from operators.cases import Cases, Growth, Layer, Shape, Weights, keras_layer, onnx_node
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, random
from operators.cases._growth import clip
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered, span_of
from operators.cases._linear import channels, clips, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Slopes of either sign, one for all values, by axis or for each."""
    shape = (draw(small), draw(small), draw(channels))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    weights = {"slope": generator.normal(0.2, 0.5, [draw(st.sampled_from([1, size])) for size in shape])}
    low, high = draw(clips)
    return lowered(draw, PReLU(low=low, high=high), [shape], weights)


def check(layer: Layer, found: np.ndarray) -> None:
    """One shift; a multiplier for values that are not negative, and one for each slope."""
    (q,), (source,), c = centred(layer), layer.sources, layer.constants
    shift, ratio = int(c["shift"]), source.step / layer.output.step
    ratios = np.concatenate([np.ravel(ratio), np.ravel(layer.weights["slope"] * ratio)])
    assert_multipliers(np.concatenate([c["positive"].ravel(), c["negative"].ravel()]), shift, ratios, span_of(source))
    assert_rescaled(layer, found, np.where(q >= 0, c["positive"], c["negative"]) * q, shift)


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[PReLU, Weights]:
    """Slopes of any shape that is repeated to the input's."""
    slopes = tuple(draw(st.sampled_from([1, size])) for size in shape)
    return PReLU(**clip(draw)), {"slope": generator.normal(0.2, 0.5, slopes).astype(np.float32)}


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown),
    keras=[keras_layer(IMAGE, "PReLU", shared_axes=shared) for shared in (None, [1, 2], [3], [1])],
    onnx=[
        onnx_node(ONNX_IMAGE, "PRelu", random(3, 1, 1)),
        onnx_node(ONNX_IMAGE, "PRelu", random(3, 6, 5)),
        onnx_node(ONNX_SEQUENCE, "PRelu", random(1)),
    ],
)
