"""What do QuantizeLinear, DequantizeLinear and Quant mean for a network that is quantized here?

Their scale and zero point say to which range training limited a value. The range is kept, as a clip that the layer in
front of it takes over; the rounding is that of the quantization here. Weights are constants when they come here, so
they are the file's integers times the file's scales.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.affine import affine_tensor
from ggdq_mcu.sources.onnx_layout import Steps, Tensor

if TYPE_CHECKING:
    from ggdq_mcu.sources.onnx import OnnxOperator

Array = NDArray[Any]
_WIDTHS = {np.dtype(kind): np.iinfo(kind) for kind in (np.int8, np.uint8, np.int16, np.uint16, np.int32)}
_MOST_BITS = 32


def limits(op: OnnxOperator) -> tuple[Steps, float, float]:
    """Scale and zero point of QuantizeLinear, and the smallest and largest integer."""
    scale, zero = _parameters(op)
    if scale.size != 1 or zero.size != 1:
        raise op.error("a scale for each channel of an activation is not supported", "use one scale")
    dtype = op.constant(2, "zero point").dtype if op.given(2) else np.dtype(np.uint8)
    width = _WIDTHS.get(dtype)
    if width is None or op.integer("output_dtype", 0) not in (0, *_NUMBERS.get(dtype, ())):
        raise op.error("quantizes to a type that is not supported", "use int8, uint8, int16 or uint16")
    return Steps(float(scale.flat[0]), float(zero.flat[0])), float(width.min), float(width.max)


_NUMBERS = {np.dtype(np.int8): (3,), np.dtype(np.uint8): (2,), np.dtype(np.int16): (5,), np.dtype(np.uint16): (4,)}


def _parameters(op: OnnxOperator) -> tuple[Array, Array]:
    """Scale and zero point (), or by channel."""
    scale = op.weights(1, "scale").astype(np.float64)
    if np.any(scale <= 0) or op.integer("block_size", 0):
        raise op.error("its scale is not positive, or by block", "use one scale, or one for each channel")
    zero = op.constant(2, "zero point").astype(np.float64) if op.given(2) else np.zeros(())
    return scale, zero


def dequantized(op: OnnxOperator) -> Tensor:
    """DequantizeLinear: the real numbers of what a QuantizeLinear with the same scale made, or integers in real steps."""
    tensor = op.tensor()
    scale, zero = _parameters(op)
    axis = op.integer("axis", 1)
    shape: tuple[int, ...] = ()
    if scale.size > 1:
        shape = (-1, *(1,) * (len(tensor.shape) - 1 - op.axis(axis, len(tensor.shape))))
    scale, zero = scale.reshape(shape), zero.reshape(shape if zero.size > 1 else ())
    steps = tensor.steps or Steps(1.0, 0.0)
    plain = replace(tensor, steps=None)
    factor, offset = scale / steps.scale, scale * (steps.zero - zero)
    if np.all(factor == 1) and not np.any(offset):
        return plain
    if np.ndim(offset) and np.any(offset):
        return affine_tensor(op, affine_tensor(op, plain, factor, 0.0), 1.0, offset)
    return affine_tensor(op, plain, factor, float(np.ravel(offset)[0]))


def integers(op: OnnxOperator, tensor: Tensor) -> Tensor:
    """The integers of a quantized tensor, for an operator that computes with them."""
    if tensor.steps is None:
        return tensor
    steps = tensor.steps
    whole = affine_tensor(op, replace(tensor, steps=None), 1 / steps.scale, steps.zero)
    return whole.of(op.add(Activation("round"), whole.node, suffix="integers"))


def fake_quantized_range(op: OnnxOperator) -> tuple[float, float]:
    """The range of Quant: its scale, zero point and number of bits; ``signed`` and ``narrow``."""
    scale, zero = op.weights(1, "scale").astype(np.float64), op.weights(2, "zero point").astype(np.float64)
    low, high = quant_levels(op.weights(3, "bit width"), bool(op.integer("signed", 1)), bool(op.integer("narrow", 0)))
    op.text("rounding_mode", "ROUND")
    if np.any(scale <= 0) or low >= high:
        raise op.error("its scale is not positive, or its bit width is none", f"use 2..{_MOST_BITS} bits")
    return float(np.min((low - zero) * scale)), float(np.max((high - zero) * scale))


def quant_levels(bits: Array, signed: bool, narrow: bool) -> tuple[float, float]:
    """The smallest and the largest integer of Quant."""
    width = float(np.clip(np.ravel(bits)[0], 1, _MOST_BITS))
    if signed:
        half = 2.0 ** (width - 1)
        return -half + narrow, half - 1
    return 0.0, 2.0**width - 1 - narrow


def _of_blocks(attributes: Mapping[str, Any], x: Array, value: Array) -> Array:
    """A scale or zero point as x has its elements: one, one for each position of an axis, or one for each block."""
    if value.size == 1:
        return value.reshape(())
    axis, block = int(attributes.get("axis", 1)), int(attributes.get("block_size", 0))
    if not -x.ndim <= axis < x.ndim or value.ndim not in (1, x.ndim):
        raise ValueError(f"axis {axis} of {x.ndim}")
    if block and value.ndim == x.ndim:
        return np.take(np.repeat(value, block, axis), np.arange(x.shape[axis]), axis)
    return value.reshape(-1, *(1,) * (x.ndim - 1 - axis % x.ndim))


def _dequantized_constant(attributes: Mapping[str, Any], x: Array, scale: Array, zero: Array | None = None) -> Array:
    """DequantizeLinear of constants: (x - zero point) * scale."""
    offset = 0.0 if zero is None else _of_blocks(attributes, x, zero.astype(np.float64))
    value = (x.astype(np.float64) - offset) * _of_blocks(attributes, x, scale.astype(np.float64))
    return np.asarray(value.astype(np.float32))


def _quantized_constant(attributes: Mapping[str, Any], x: Array, scale: Array, zero: Array | None = None) -> Array:
    """QuantizeLinear of constants: x / scale + zero point, rounded half to even, in the type of the zero point."""
    kind = np.dtype(np.uint8) if zero is None else zero.dtype
    width = np.iinfo(kind)
    offset = 0.0 if zero is None else _of_blocks(attributes, x, zero.astype(np.float64))
    value = np.rint(x / _of_blocks(attributes, x, scale.astype(np.float64))) + offset
    return np.asarray(np.clip(value, width.min, width.max).astype(kind))


def _fake_quantized(attributes: Mapping[str, Any], x: Array, scale: Array, zero: Array, bits: Array) -> Array:
    """Quant of constants."""
    if attributes.get("rounding_mode", "ROUND") != "ROUND":
        raise ValueError("a rounding mode that is not supported")
    low, high = quant_levels(bits, bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0)))
    levels = np.clip(np.rint(x / scale.astype(np.float64) + zero), low, high)
    return np.asarray(((levels - zero) * scale.astype(np.float64)).astype(np.float32))


#: What they make of constants, by ONNX's and QONNX's names: of their attributes and inputs.
QUANTIZERS: Mapping[str, Callable[..., Array]] = {
    "DequantizeLinear": _dequantized_constant,
    "Quant": _fake_quantized,
    "QuantizeLinear": _quantized_constant,
}
