"""Depthwise convolutions."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from operators.cases import Cases, Growth, KerasCase, Layer, Shape, Weights, keras_layer, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, SEQUENCE, TF_IMAGE, random
from operators.cases._growth import clip, window
from operators.cases._linear import channels, check_linear, clips, draw_window, linear_layer, linear_weights
from operators.draws import Window, positions


@st.composite
def layers(draw: Callable) -> Layer:
    """Any window, one filter or several for each channel."""
    image, kernel, strides, dilation, padding = draw_window(draw, dilated=draw(st.integers(0, 3)) == 0)
    depth, multiplier = draw(channels), draw(st.sampled_from([1, 1, 2, 3]))
    low, high = draw(clips)
    operator = DepthwiseConv2D(kernel, multiplier, strides, padding, dilation, low=low, high=high)
    return linear_layer(draw, operator, (*image, depth), (*kernel, depth, multiplier), depth * multiplier)


def check(layer: Layer, found: np.ndarray) -> None:
    """Output channel c * multiplier + m is filter m of channel c."""
    operator, (_, _, depth, multiplier) = layer.operator, layer.constants["kernel"].shape
    assert isinstance(operator, DepthwiseConv2D)
    inputs = np.arange(depth)[:, None]
    place = Window(
        Size(*layer.shapes[0][:2]), operator.kernel_size, operator.strides, operator.padding, operator.dilation
    )
    check_linear(layer, found, lambda x, w: sums(place, x, w), (inputs, inputs * multiplier + np.arange(multiplier)))


def sums(place: Window, image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Sum by sum; what is padded is zero."""
    places, (channels, multiplier) = list(positions(place)), kernel.shape[2:]
    total = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, channels * multiplier), image.dtype)
    for oy, ox, seen in places:
        for ky, kx, y, x in seen:
            for c in range(channels):
                for m in range(multiplier):
                    total[:, oy, ox, c * multiplier + m] += image[:, y, x, c] * kernel[ky, kx, c, m]
    return total


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[DepthwiseConv2D, Weights]:
    """Any window."""
    kernel, strides, dilation, padding = window(draw, shape, dilated=True)
    multiplier = draw(st.sampled_from([1, 1, 2, 3]))
    outputs = shape[2] * multiplier
    weights = linear_weights(generator, (*kernel, shape[2], multiplier), outputs, draw(st.booleans()))
    return DepthwiseConv2D(kernel, multiplier, strides, padding, dilation, **clip(draw)), weights


def keras() -> Iterator[KerasCase]:
    for padding in ("same", "valid"):
        yield keras_layer(SEQUENCE, "DepthwiseConv1D", 3, strides=2, depth_multiplier=2, padding=padding)
        yield keras_layer(IMAGE, "DepthwiseConv2D", (3, 2), strides=2, depth_multiplier=2, padding=padding)
        yield keras_layer(IMAGE, "DepthwiseConv2D", 2, dilation_rate=(2, 1), padding=padding, activation="relu")


PLACES = (
    {"pads": [0, 0, 0, 0], "strides": [1, 1], "dilations": [1, 1]},
    {"pads": [1, 0, 2, 1], "strides": [2, 1], "dilations": [1, 1]},
    {"pads": [2, 2, 1, 2], "strides": [1, 2], "dilations": [2, 2]},
)
DEEP = random(3, 3, 4, 2)
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown, ranks=(3,), often=2),
    keras=[*keras()],
    tflite=[
        tflite_function(
            "depthwise_conv2d",
            TF_IMAGE,
            lambda tf, x: tf.tanh(tf.nn.depthwise_conv2d(x, DEEP, (1, 2, 2, 1), "SAME")),
        )
    ],
    onnx=[
        *(onnx_node(ONNX_IMAGE, "Conv", random(6, 1, 3, 2), group=3, **place) for place in PLACES),
        onnx_node(ONNX_SEQUENCE, "Conv", random(3, 1, 3), random(3), group=3, pads=[1, 1]),
    ],
)
