"""Convolutions, grouped, dilated and transposed ones among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.conv2d import Conv2D
from operators.cases import Cases, Growth, KerasCase, Layer, OnnxCase, Shape, Weights, keras_layer, onnx_node
from operators.cases import tflite_function as function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, SEQUENCE, TF_IMAGE, random
from operators.cases._growth import clip, window
from operators.cases._linear import channels, check_linear, clips, draw_window, linear_layer, linear_weights
from operators.draws import Window, positions


@st.composite
def any_convolutions(draw: Callable) -> Layer:
    """Any convolution, pointwise ones often."""
    image, kernel, strides, dilation, padding = draw_window(draw, dilated=True)
    if draw(st.booleans()):
        kernel, strides, dilation, padding = Size(1, 1), Size(1, 1), Size(1, 1), Padding()
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    depth, filters = draw(channels), draw(st.integers(1, 6)) * groups
    low, high = draw(clips)
    operator = Conv2D(kernel, filters, strides, padding, dilation, groups, low=low, high=high)
    return linear_layer(draw, operator, (*image, depth * groups), (*kernel, depth, filters), filters)


@st.composite
def grouped_convolutions(draw: Callable) -> Layer:
    """Several filters a group, which have the steps of their own group's channels."""
    groups, depth, filters = draw(st.integers(2, 3)), draw(st.integers(1, 3)), draw(st.integers(2, 3))
    operator = Conv2D(Size(1, 2), groups * filters, groups=groups)
    shape, kernel = (2, 3, groups * depth), (1, 2, depth, groups * filters)
    return linear_layer(draw, operator, shape, kernel, groups * filters, by_channel=True)


@st.composite
def winograd_convolutions(draw: Callable) -> Layer:
    """Convolutions of the kind that Winograd takes."""
    padding = Padding(*(draw(st.integers(0, 2)) for _ in range(4)))
    height, width = (2 * draw(st.integers(1, 5)) + 2 - sum(pair) for pair in (padding[:2], padding[2:]))
    if height < 1 or width < 1:
        padding, height, width = Padding(1, 1, 1, 1), 4, 6
    depth, filters = draw(st.sampled_from([8, 16, 24])), draw(st.integers(1, 4))
    low, high = draw(clips)
    operator = Conv2D(Size(3, 3), filters, padding=padding, low=low, high=high)
    return linear_layer(draw, operator, (height, width, depth), (3, 3, depth, filters), filters)


def check(layer: Layer, found: np.ndarray) -> None:
    """Sums of products by group, as convolution is defined."""
    operator, kernel = layer.operator, layer.constants["kernel"]
    assert isinstance(operator, Conv2D)
    depth, filters = kernel.shape[2:]
    output = np.arange(filters)
    inputs = output // (filters // operator.groups) * depth + np.arange(depth)[:, None]
    image = Size(*layer.shapes[0][:2])
    place = Window(image, operator.kernel_size, operator.strides, operator.padding, operator.dilation)
    check_linear(layer, found, lambda x, w: sums(place, x, w, operator.groups), (inputs, output))


def sums(place: Window, image: np.ndarray, kernel: np.ndarray, groups: int) -> np.ndarray:
    """Sum by sum; what is padded is zero."""
    depth, filters = kernel.shape[2], kernel.shape[3] // groups
    places = list(positions(place))
    total = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, kernel.shape[3]), image.dtype)
    for oy, ox, seen in places:
        for ky, kx, y, x in seen:
            for group in range(groups):
                inputs = slice(group * depth, (group + 1) * depth)
                outputs = slice(group * filters, (group + 1) * filters)
                total[:, oy, ox, outputs] += image[:, y, x, inputs] @ kernel[ky, kx, :, outputs]
    return total


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Conv2D, Weights]:
    """Any window and groups."""
    kernel, strides, dilation, padding = window(draw, shape, dilated=True)
    groups = draw(st.sampled_from([g for g in (1, 1, 2, 3) if shape[2] % g == 0]))
    filters = groups * draw(st.sampled_from([1, 3, 4, 8]))
    weights = linear_weights(generator, (*kernel, shape[2] // groups, filters), filters, draw(st.booleans()))
    return Conv2D(kernel, filters, strides, padding, dilation, groups, **clip(draw)), weights


def keras() -> Iterator[KerasCase]:
    for padding in ("same", "valid"):
        for strides, dilation in ((1, 1), (2, 1), (1, 2), (3, 1)):
            steps = {"strides": strides, "dilation_rate": dilation, "padding": padding}
            yield keras_layer(SEQUENCE, "Conv1D", 6, 3, groups=3, activation="tanh", **steps)
            yield keras_layer(SEQUENCE, "SeparableConv1D", 4, 3, activation="relu", **steps)
        yield keras_layer(IMAGE, "Conv2D", 6, (3, 2), groups=3, strides=2, padding=padding)
        yield keras_layer(IMAGE, "SeparableConv2D", 4, 3, activation="relu", padding=padding)
        for kernel, strides in ((3, 2), (2, 2), (3, 1), (1, 2), (5, 3), (2, 3), ((3, 2), (2, 1))):
            yield keras_layer(
                IMAGE, "Conv2DTranspose", 4, kernel, strides=strides, padding=padding, activation="softmax"
            )
        yield keras_layer(
            SEQUENCE, "Conv1DTranspose", 4, 3, strides=2, padding=padding, activation="relu", use_bias=False
        )
    for strides, dilation in ((1, 1), (2, 1), (1, 3)):
        yield keras_layer(SEQUENCE, "Conv1D", 2, 3, strides=strides, dilation_rate=dilation, padding="causal")


def onnx() -> Iterator[OnnxCase]:
    for pads, strides, dilations in (
        ([0, 0, 0, 0], [1, 1], [1, 1]),
        ([1, 0, 2, 1], [2, 1], [1, 1]),
        ([2, 2, 1, 2], [1, 2], [2, 2]),
    ):
        place = {"pads": pads, "strides": strides, "dilations": dilations}
        yield onnx_node(ONNX_IMAGE, "Conv", random(4, 3, 2, 3), random(4), **place)
        yield onnx_node((1, 4, 6, 5), "Conv", random(6, 2, 3, 3), random(6), group=2, kernel_shape=[3, 3], **place)
        line = {"pads": pads[::2], "strides": strides[:1], "dilations": dilations[:1]}
        yield onnx_node(ONNX_SEQUENCE, "Conv", random(4, 3, 4), **line)
    for kind in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        yield onnx_node(ONNX_IMAGE, "Conv", random(2, 3, 2, 3), auto_pad=kind, strides=[2, 1])
    for kernel, strides, pads, more in (
        ((2, 2), [2, 2], [0, 0, 0, 0], [0, 0]),
        ((3, 3), [2, 2], [1, 1, 1, 1], [1, 1]),
        ((3, 2), [1, 3], [1, 0, 0, 1], [0, 1]),
        ((5, 4), [2, 3], [2, 1, 1, 2], [0, 0]),
    ):
        place = {"strides": strides, "pads": pads, "output_padding": more}
        yield onnx_node(ONNX_IMAGE, "ConvTranspose", random(3, 2, *kernel), random(2), moves=True, **place)
    yield onnx_node(ONNX_SEQUENCE, "ConvTranspose", random(3, 2, 4), moves=True, strides=[2], pads=[1, 1])
    grouped = {"group": 4, "strides": [2, 1], "dilations": [1, 3]}
    yield onnx_node((1, 4, 5, 4), "ConvTranspose", random(4, 1, 3, 2), moves=True, **grouped)
    dilated = {"dilations": [3, 2], "strides": [2, 2], "pads": [1, 0, 1, 2]}
    yield onnx_node(ONNX_IMAGE, "ConvTranspose", random(3, 2, 2, 3), moves=True, **dilated)
    upper = {"strides": [2, 2], "auto_pad": "SAME_UPPER"}
    yield onnx_node(ONNX_IMAGE, "ConvTranspose", random(3, 2, 3, 3), moves=True, **upper)


KERNEL, GROUPED, WIDE = random(3, 2, 4, 6), random(3, 3, 2, 8), random(3, 4, 5, 4)
CASES = Cases(
    layers=st.one_of(any_convolutions(), any_convolutions(), grouped_convolutions(), winograd_convolutions()),
    check=check,
    growth=Growth(grown, ranks=(3,), often=3),
    keras=[*keras()],
    tflite=[
        function("conv2d", TF_IMAGE, lambda tf, x: tf.nn.relu(tf.nn.conv2d(x, KERNEL, (2, 1), "SAME") + random(6))),
        function("dilated", TF_IMAGE, lambda tf, x: tf.nn.relu6(tf.nn.conv2d(x, KERNEL, 1, "VALID", dilations=(2, 2)))),
        function("grouped", TF_IMAGE, lambda tf, x: tf.nn.conv2d(x, GROUPED, 1, "SAME")),
        function(
            "transposed, same",
            TF_IMAGE,
            lambda tf, x: tf.nn.conv2d_transpose(x, WIDE, (1, 14, 12, 5), 2, "SAME") + random(5),
        ),
        function(
            "transposed, valid", TF_IMAGE, lambda tf, x: tf.nn.conv2d_transpose(x, WIDE, (1, 15, 14, 5), 2, "VALID")
        ),
    ],
    onnx=[*onnx()],
)
