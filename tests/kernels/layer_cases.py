"""Random layers for the kernels' tests: shapes, formats, weights and inputs of every kind, the extremes among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from emulated_library import LayerCase
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.graph.window import Padding, Size, extent
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.shared.linear import Linear

STEP = 0.02
small = st.integers(1, 3)
channels = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 16])
clips = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 100 * STEP), (-30 * STEP, 31 * STEP)])


@st.composite
def formats(draw: Callable, bits: Sequence[int] = (8,)) -> Format:
    """8 bits of either sign with any zero point, or 16 bits."""
    if draw(st.sampled_from(bits)) == 16:
        return Format(16, True, STEP)
    signed = draw(st.booleans())
    return Format(8, signed, STEP, draw(st.integers(-128, 127) if signed else st.integers(0, 255)))


def inputs(draw: Callable, form: Format, shape: Sequence[int]) -> np.ndarray:
    """Two samples: random ones, and one that holds the smallest or largest number alone."""
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    values = generator.integers(form.low, form.high + 1, (2, *shape))
    values[1] = draw(st.sampled_from([form.low, form.high]))
    return values.astype(form.dtype)


def constants(
    draw: Callable, operator: Linear, shape: tuple[int, ...], outputs: int, source: Format
) -> dict[str, np.ndarray]:
    """Weights, random or extreme, biases up to some magnitude, shifts equal or not, all sums within 31 bits."""
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    kernel = generator.integers(-128, 128, shape)
    kind = draw(st.sampled_from(["any", "symmetric", "lowest", "highest", "alternating", "zero"]))
    if kind == "symmetric":
        kernel = np.maximum(kernel, -127)
    elif kind == "alternating":
        kernel = np.where(np.arange(kernel.size).reshape(shape) % 2, -128, 127)
    elif kind != "any":
        kernel = np.full(shape, {"lowest": -128, "highest": 127, "zero": 0}[kind])
    largest = 1 << draw(st.sampled_from([4, 12, 16, 22, 26]))
    spread = draw(st.sampled_from([1, 4, 16]))
    first = draw(st.integers(0, 12))
    result = {
        "kernel": kernel.astype(np.int8),
        "bias": generator.integers(-largest, largest + 1, outputs).astype(np.int64),
        "shift": generator.integers(first, first + spread, outputs).astype(np.int64),
        "wide": np.array(0),
    }
    assert operator.accumulator_bound(result["kernel"], result["bias"], source).max() < 2**31
    return result


def _linear(
    draw: Callable, operator: Linear, shape: tuple[int, ...], kernel: tuple[int, ...], outputs: int
) -> LayerCase:
    source, output = draw(formats()), draw(formats((8, 8, 16)))
    operator = replace(operator, padding_value=draw(st.sampled_from([0.0, 0.0, 37.4 * STEP])))
    weights = constants(draw, operator, kernel, outputs, source)
    return LayerCase(operator, (shape,), (source,), output, weights, (inputs(draw, source, shape),))


def _window(draw: Callable, dilated: bool) -> tuple[Size, Size, Size, Size, Padding]:
    """Image, kernel, strides, dilation and padding that fit together."""
    kernel = Size(draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    strides, dilation = Size(draw(small), draw(small)), Size(1, 1)
    if dilated and draw(st.booleans()):
        dilation = Size(draw(small), draw(small))
    padding = Padding(*(draw(st.integers(0, 2)) for _ in range(4)))
    span = extent(kernel, dilation)
    height = max(span.height - padding.top - padding.bottom, 1) + draw(st.integers(0, 6))
    width = max(span.width - padding.left - padding.right, 1) + draw(st.integers(0, 6))
    return Size(height, width), kernel, strides, dilation, padding


@st.composite
def convolutions(draw: Callable) -> LayerCase:
    """Any convolution, pointwise ones often."""
    image, kernel, strides, dilation, padding = _window(draw, dilated=True)
    if draw(st.booleans()):
        kernel, strides, dilation, padding = Size(1, 1), Size(1, 1), Size(1, 1), Padding()
    groups = draw(st.sampled_from([1, 1, 1, 2]))
    depth, filters = draw(channels), draw(st.integers(1, 6)) * groups
    low, high = draw(clips)
    operator = Conv2D(kernel, filters, strides, padding, dilation, groups, low=low, high=high)
    return _linear(draw, operator, (*image, depth * groups), (*kernel, depth, filters), filters)


@st.composite
def winograd_convolutions(draw: Callable) -> LayerCase:
    """Convolutions of the kind that Winograd takes."""
    padding = Padding(*(draw(st.integers(0, 2)) for _ in range(4)))
    height, width = (2 * draw(st.integers(1, 5)) + 2 - sum(pair) for pair in (padding[:2], padding[2:]))
    if height < 1 or width < 1:
        padding, height, width = Padding(1, 1, 1, 1), 4, 6
    depth, filters = draw(st.sampled_from([8, 16, 24])), draw(st.integers(1, 4))
    low, high = draw(clips)
    operator = Conv2D(Size(3, 3), filters, padding=padding, low=low, high=high)
    return _linear(draw, operator, (height, width, depth), (3, 3, depth, filters), filters)


@st.composite
def depthwise_convolutions(draw: Callable) -> LayerCase:
    """Any depthwise convolution."""
    image, kernel, strides, dilation, padding = _window(draw, dilated=draw(st.integers(0, 3)) == 0)
    depth, multiplier = draw(channels), draw(st.sampled_from([1, 1, 2]))
    low, high = draw(clips)
    operator = DepthwiseConv2D(kernel, multiplier, strides, padding, dilation, low=low, high=high)
    return _linear(draw, operator, (*image, depth), (*kernel, depth, multiplier), depth * multiplier)


@st.composite
def dense_layers(draw: Callable) -> LayerCase:
    """Dense layers, also on several vectors."""
    depth = draw(st.one_of(st.integers(1, 70), st.sampled_from([16, 32, 64])))
    shape = (*draw(st.sampled_from([(), (), (3,), (2, 2)])), depth)
    units = draw(st.integers(1, 9))
    low, high = draw(clips)
    return _linear(draw, Dense(units, low=low, high=high), shape, (shape[-1], units), units)


@st.composite
def sums(draw: Callable) -> LayerCase:
    """Sums of two or three tensors of any formats."""
    shape = (draw(small), draw(small), draw(channels))
    low, high = draw(clips)
    operator = Add(low=low, high=high)
    sources = tuple(draw(formats((8, 8, 8, 16))) for _ in range(draw(st.sampled_from([2, 2, 3]))))
    sources = tuple(Format(f.bits, f.signed, draw(st.sampled_from([0.01, 0.02, 0.05])), f.zero_point) for f in sources)
    output = draw(formats((8, 8, 16)))
    shapes = (shape,) * len(sources)
    weights = operator.lower({}, sources, output, shapes)
    return LayerCase(operator, shapes, sources, output, weights, tuple(inputs(draw, f, shape) for f in sources))


@st.composite
def pools(draw: Callable) -> LayerCase:
    """Average and maximum pooling; whole images too."""
    image, kernel, strides, _, padding = _window(draw, dilated=False)
    padding = Padding(*(min(p, k - 1) for p, k in zip(padding, np.repeat(kernel, 2).tolist(), strict=True)))
    image = Size(max(image.height, kernel.height), max(image.width, kernel.width))
    if draw(st.booleans()):
        kernel, strides, padding = image, image, Padding()
    shape, source = (*image, draw(channels)), draw(formats((8, 8, 16)))
    if draw(st.booleans()):
        pool: AveragePool2D | MaxPool2D = AveragePool2D(kernel, strides, padding)
        output = draw(formats())
        weights = pool.lower({}, [source], output, [shape])
    else:
        pool, output, weights = MaxPool2D(kernel, strides, padding), source, {}
    return LayerCase(pool, (shape,), (source,), output, weights, (inputs(draw, source, shape),))


layers = st.one_of(convolutions(), winograd_convolutions(), depthwise_convolutions(), dense_layers(), sums(), pools())
