"""Layer normalization over the channels."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt, sqrt

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.layer_normalization import LayerNormalization
from operators.cases import Cases, Growth, Layer, Shape, Weights, keras_layer, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_VECTOR, TF_IMAGE, random
from operators.cases._growth import clip
from operators.cases._layers import assert_multipliers, lowered
from operators.cases._linear import channels, clips, small
from operators.draws import assert_nearest, clipped


@st.composite
def layers(draw: Callable) -> Layer:
    """Factors and offsets of either sign; the variance may be 0."""
    shape = (draw(small), draw(small), draw(channels))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    weights = {"gamma": generator.normal(1, 0.5, shape[-1]), "beta": generator.normal(0, 1, shape[-1])}
    low, high = draw(clips)
    epsilon = draw(st.sampled_from([1e-7, 1e-3, 1.0]))
    return lowered(draw, LayerNormalization(epsilon, draw(st.booleans()), low=low, high=high), [shape], weights)


def check(layer: Layer, found: np.ndarray) -> None:
    """The root of the variance with 15 bits at least, in integers, number by number."""
    (q,), (source,), output, c = layer.samples, layer.sources, layer.output, layer.constants
    operator, count, step = layer.operator, q.shape[-1], float(output.step)
    assert isinstance(operator, LayerNormalization)
    assert found.dtype == output.dtype
    (f,), m, r = c["shift"].tolist(), c["multiplier"].tolist(), c["offset"].tolist()
    gamma, beta = layer.weights["gamma"], layer.weights["beta"]
    assert_multipliers(m, f, gamma / step * 2.0**-11, sqrt(count) * 2**11 + np.abs(beta / gamma).max() * 2**11)
    half = 2 ** (f - 1) if f else 0
    assert_nearest(c["offset"] - half - (output.zero_point << f), beta / step * 2.0**f)
    assert abs(int(c["epsilon"]) - max(1.0, count**2 * operator.epsilon / float(source.step) ** 2)) <= 1
    expected = np.zeros(q.shape, np.int64)
    for row in np.ndindex(*q.shape[:-1]):
        values = [one - (0 if operator.centred else source.zero_point) for one in q[row].tolist()]
        total = sum(values) if operator.centred else 0
        variance = count * sum(one * one for one in values) - total * total + int(c["epsilon"])
        k = -14
        while (variance << -2 * k if k < 0 else variance >> 2 * k) >= 1 << 30:
            k += 1
        root = isqrt(variance << -2 * k if k < 0 else variance >> 2 * k)
        inverse = ((1 << 30) + root // 2) // root
        for channel, one in enumerate(values):
            normal = ((count * one - total) * inverse + (1 << (18 + k))) >> (19 + k)
            assert abs(m[channel] * normal + r[channel]) < 2**31
            expected[(*row, channel)] = (m[channel] * normal + r[channel]) >> f
    np.testing.assert_array_equal(found, clipped(operator, output, expected))


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[LayerNormalization, Weights]:
    """Any epsilon, one that outweighs the variance among them."""
    weights = {"gamma": generator.normal(1, 0.5, shape[-1:]), "beta": generator.normal(0, 1, shape[-1:])}
    operator = LayerNormalization(draw(st.sampled_from([1e-3, 1e-7, 10.0])), draw(st.booleans()), **clip(draw))
    return operator, {key: one.astype(np.float32) for key, one in weights.items()}


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown),
    keras=[
        keras_layer(IMAGE, "LayerNormalization", **options)
        for options in ({}, {"axis": 3, "epsilon": 1e-5, "center": False}, {"scale": False})
    ],
    tflite=[tflite_function("l2 normalisation", TF_IMAGE, lambda tf, x: tf.nn.l2_normalize(x, -1))],
    onnx=[
        onnx_node((1, 4, 7), "LayerNormalization", random(7), random(7)),
        onnx_node(ONNX_VECTOR, "LayerNormalization", random(7), epsilon=1e-3),
        onnx_node((2, 4, 7), "LayerNormalization", random(4, 7), random(7), axis=1),
        onnx_node(ONNX_IMAGE, "LayerNormalization", random(3, 6, 5), axis=1, moves=True),
    ],
)
