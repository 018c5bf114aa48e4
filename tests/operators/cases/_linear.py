"""Layers whose output is linear in their input, drawn in two ways, and what they compute by definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Padding, Size, extent
from ggdq_mcu.operators.shared.linear import Linear
from operators.cases import Layer, Shape
from operators.draws import assert_nearest, channel_formats, clipped, formats, integers, real_units

STEP = 0.02
small = st.integers(1, 3)
channels = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 16])
clips = st.sampled_from([(-np.inf, np.inf), (0.0, np.inf), (0.0, 100 * STEP), (-30 * STEP, 31 * STEP)])

#: Sums of products of a batch (N, ...) with a kernel, where padding is zero.
Sums = Callable[[np.ndarray, np.ndarray], np.ndarray]
#: Input and output channel of every weight, each an array of the kernel's shape or broadcast to it.
Channels = tuple[np.ndarray, np.ndarray]


def linear_layer(
    draw: Callable, operator: Linear, shape: Shape, kernel: Shape, outputs: int, by_channel: bool = False
) -> Layer:
    """A layer of real weights, which may have channel steps on both sides, or of drawn integers, the extremes among them.

    ``by_channel``: certainly of real weights and with channel steps.
    """
    if not by_channel and draw(st.booleans()):
        return _drawn(draw, operator, shape, kernel, outputs)
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    source = draw(channel_formats(shape[-1]) if by_channel else st.one_of(formats(), channel_formats(shape[-1])))
    output = draw(channel_formats(outputs) if by_channel else st.one_of(formats(), channel_formats(outputs)))
    weights = {"kernel": generator.normal(0, 1, kernel)}
    if draw(st.booleans()):
        weights["bias"] = generator.normal(0, 3, outputs)
    first, spread = draw(st.integers(0, 12)), draw(st.sampled_from([1, 4]))
    shift = generator.integers(first, first + spread, outputs)
    bits = 16 if by_channel else draw(st.sampled_from([8, 8, 4, 2, 16]))
    constants = operator.integers(weights, source, output, shift, bits)
    weights["bits"] = np.array(bits)
    samples = (integers(draw, source, shape),)
    return Layer(operator, (shape,), (source,), output, constants, samples, weights)


def _drawn(draw: Callable, operator: Linear, shape: Shape, kernel: Shape, outputs: int) -> Layer:
    """Weights random or extreme, biases up to some magnitude, shifts equal or not, all sums within 31 bits."""
    source = replace(draw(formats((8,))), step=STEP)
    output = replace(draw(formats((8, 8, 16))), step=STEP)
    operator = replace(operator, padding_value=draw(st.sampled_from([0.0, 0.0, 37.4 * STEP])))
    generator = np.random.default_rng(draw(st.integers(0, 999)))
    weights = generator.integers(-128, 128, kernel)
    kind = draw(st.sampled_from(["any", "symmetric", "lowest", "highest", "alternating", "zero"]))
    if kind == "symmetric":
        weights = np.maximum(weights, -127)
    elif kind == "alternating":
        weights = np.where(np.arange(weights.size).reshape(kernel) % 2, -128, 127)
    elif kind != "any":
        weights = np.full(kernel, {"lowest": -128, "highest": 127, "zero": 0}[kind])
    largest = 1 << draw(st.sampled_from([4, 12, 16, 22, 26]))
    first, spread = draw(st.integers(0, 12)), draw(st.sampled_from([1, 4, 16]))
    constants = {
        "kernel": weights.astype(np.int8),
        "bias": generator.integers(-largest, largest + 1, outputs).astype(np.int64),
        "shift": generator.integers(first, first + spread, outputs).astype(np.int64),
        "wide": np.array(0),
    }
    assert operator.accumulator_bound(constants["kernel"], constants["bias"], source).max() < 2**31
    return Layer(operator, (shape,), (source,), output, constants, (integers(draw, source, shape),))


def draw_window(draw: Callable, dilated: bool) -> tuple[Size, Size, Size, Size, Padding]:
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


def check_linear(layer: Layer, found: np.ndarray, sums: Sums, of_weight: Channels) -> None:
    """Kernel and bias are the nearest integers, and the output is the rounded sum of centred products."""
    operator, (source,), output, (q,) = layer.operator, layer.sources, layer.output, layer.samples
    assert isinstance(operator, Linear)
    kernel, bias, shift = (layer.constants[key].astype(np.int64) for key in ("kernel", "bias", "shift"))
    # What is padded is the integer nearest to the padding's value.
    outside = int(np.clip(np.floor(operator.padding_value / STEP + 0.5) + source.zero_point, source.low, source.high))
    outside = outside if operator.padding_value else source.zero_point
    whole = np.zeros(bias.shape, np.int64)
    np.add.at(whole, np.broadcast_to(of_weight[1], kernel.shape), kernel)
    total = sums(q.astype(np.int64) - outside, kernel) + outside * whole + bias
    np.testing.assert_array_equal(found, clipped(operator, output, total >> shift))
    if layer.weights:
        _check_constants(layer, of_weight, whole)
        _check_near_float(layer, found, sums)


def _check_constants(layer: Layer, of_weight: Channels, whole: np.ndarray) -> None:
    (source,), output = layer.sources, layer.output
    kernel, bias, shift = (layer.constants[key] for key in ("kernel", "bias", "shift"))
    inputs, outputs = (np.broadcast_to(one, kernel.shape) for one in of_weight)
    step_in = np.broadcast_to(source.step, (inputs.max() + 1,))[inputs]
    step_out = np.broadcast_to(output.step, shift.shape)
    real = layer.weights["kernel"] * step_in / step_out[outputs] * 2.0 ** shift[outputs]
    bits = int(layer.weights["bits"])
    lowest = -127 if bits == 8 else -(1 << (bits - 1))  # pairs of bytes have to fit 16 bits
    assert_nearest(kernel, np.clip(real, lowest, (1 << (bits - 1)) - 1))
    offset = np.broadcast_to(layer.weights.get("bias", 0.0), shift.shape) / step_out * 2.0**shift
    half = np.where(shift > 0, 2.0 ** (shift - 1.0), 0)
    assert_nearest(bias + source.zero_point * whole - half - output.zero_point * 2.0**shift, offset)


def _check_near_float(layer: Layer, found: np.ndarray, sums: Sums) -> None:
    """Each weight is off by half a unit at most, unless it saturated; the bias and the result too, and the clip's bound."""
    (source,), output, (q,) = layer.sources, layer.output, layer.samples
    kernel, shift, bits = layer.constants["kernel"].astype(int), layer.constants["shift"], int(layer.weights["bits"])
    if np.abs(kernel).max() < (1 << (bits - 1)) - 1:
        magnitude = sums(np.abs(q.astype(np.float64) - source.zero_point), np.ones(kernel.shape))
        bound = (0.5 * magnitude + 0.5) / 2.0**shift + 1.0 + 1e-6
        assert np.all(np.abs(found - real_units(layer.operator, [q], [source], output, **layer.weights)) <= bound)


def linear_weights(generator: np.random.Generator, shape: Shape, outputs: int, bias: bool) -> dict[str, Any]:
    """Real weights for random networks: small or large, some of them zero."""
    scale = generator.choice([0.02, 0.5, 3.0])
    kernel = generator.normal(0, scale, shape) * (generator.random(shape) > generator.choice([0.0, 0.3, 1.1]))
    weights = {"kernel": kernel.astype(np.float32)}
    if bias:
        weights["bias"] = (generator.normal(0, 1, outputs) * generator.integers(0, 2)).astype(np.float32)
    return weights
