"""Layer normalisation: each position's channels brought to mean 0 and deviation 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.graph.rows import RowWindow
from ggdq_mcu.numerics.sums import mean
from ggdq_mcu.operators.shared.composition import Composition
from ggdq_mcu.operators.shared.rescale import channel_parameters, half, multipliers
from ggdq_mcu.sources.keras import KerasLayer
from ggdq_mcu.sources.tflite import TFLiteOperator

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer
    from ggdq_mcu.sources.onnx import OnnxOperator
    from ggdq_mcu.sources.onnx_layout import Tensor

Array = NDArray[Any]
_FRACTION = 11  # bits behind the point of a normalised value
_MOST_CHANNELS = 1 << 14  # so that C * q - S stays within 32 bits for 16-bit values, and sums of squares within 64


def from_keras(layer: KerasLayer) -> list[Node]:
    """LayerNormalization over any axes, which are moved to the end and back where they are not the last."""
    axes = _axes(layer)
    shape = tuple(layer.shape[axis] for axis in axes)
    centred = not layer.flag("rms_scaling", False)
    gamma = {"gamma": shape} if layer.flag("scale", True) or not centred else {}
    beta = {"beta": shape} if layer.flag("center", True) and centred else {}
    weights = {key: value.ravel() for key, value in layer.take(**gamma, **beta).items()}
    return normalized(layer, axes, LayerNormalization(layer.number("epsilon", 0.001), centred), weights)


def from_keras_root_mean_square(layer: KerasLayer) -> list[Node]:
    """RMSNormalization over any axes, like LayerNormalization."""
    axes = _axes(layer)
    scale = layer.take(scale=tuple(layer.shape[axis] for axis in axes))["scale"]
    operator = LayerNormalization(layer.number("epsilon", 1e-6), centred=False)
    return normalized(layer, axes, operator, {"gamma": scale.ravel()})


def from_keras_unit(layer: KerasLayer) -> list[Node]:
    """UnitNormalization over any axes: values over the root of the sum of their squares."""
    axes = _axes(layer)
    return unit(layer, axes, 1e-12)


def from_operation_unit(layer: KerasLayer) -> list[Node]:
    """Normalize, of order 2."""
    if layer.integer("order", 2) != 2:
        raise layer.error(f"order {layer.config['order']} is not supported", "use order 2")
    return unit(layer, _axes(layer), layer.number("epsilon", 1e-7) ** 2)


def unit(layer: KerasLayer, axes: Sequence[int], epsilon: float) -> list[Node]:
    """The nodes of x / sqrt(max(sum of x * x, epsilon)) over ``axes``; what the maximum does is left to the addition."""
    count = prod(layer.shape[axis] for axis in axes)
    scale = {"gamma": np.full(count, count**-0.5)}
    return normalized(layer, axes, LayerNormalization(epsilon / count, centred=False), scale)


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """L2_NORMALIZATION of the last axis: values over the root of the sum of their squares, 1e-6 at least."""
    if op.activation != "NONE" or not op.shape:
        raise op.error("a fused activation, or a number, is not supported", "leave the activation out")
    count = op.shape[-1]
    weights = {"gamma": np.full(count, count**-0.5, np.float32)}
    return [op.node(LayerNormalization(1e-12 / count, centred=False), weights)]


def from_operation(layer: KerasLayer) -> list[Node]:
    """LayerNorm and RMSNorm without weights or with constant ones, over any axes."""
    axes = _axes(layer)
    shape = tuple(layer.shape[axis] for axis in axes)
    given = [*layer.arguments[1:], *(layer.config.get(key) for key in ("scale", "gamma", "beta"))]
    values = [layer.constant("its argument", one) for one in given if one is not None]
    if any(one.size not in (1, prod(shape)) for one in values) or len(values) > 2:
        raise layer.error("has weights that do not fit the axes")
    weights = {key: np.broadcast_to(one, (prod(shape),)) for key, one in zip(("gamma", "beta"), values, strict=False)}
    centred = layer.class_name == "LayerNorm" and not layer.flag("rms_scaling", False)
    return normalized(layer, axes, LayerNormalization(layer.number("epsilon", 1e-7), centred), weights)


def _axes(layer: KerasLayer) -> list[int]:
    """The axes that a layer normalises over, ascending; all of them where there is none given."""
    given = layer.config.get("axis", -1)
    rank = len(layer.shape)
    named = given if isinstance(given, list | tuple) else [given]
    axes = sorted({layer.axis("axis", rank, one) for one in named}) if given is not None else list(range(rank))
    if not axes:
        raise layer.error("needs at least one axis")
    return axes


def normalized(
    layer: KerasLayer, axes: Sequence[int], operator: LayerNormalization, weights: Mapping[str, Array]
) -> list[Node]:
    """The nodes of a layer that normalises over ``axes``; weights in the order of these axes."""
    parts = Composition(layer)
    layer.source  # noqa: B018  one input only
    return parts.done(parts.with_last(layer.inputs[0], axes, lambda rows: parts.add(operator, rows, weights=weights)))


def from_onnx(op: OnnxOperator) -> Tensor:
    """LayerNormalization over the last axes."""
    whole = op.tensor()
    axis = op.axis(op.integer("axis", -1), len(whole.shape))
    tensor = (
        whole if axis == len(whole.shape) - 1 else op.reshaped(whole, (*whole.shape[:axis], prod(whole.shape[axis:])))
    )
    weights = {key: op.weights(index, key) for index, key in ((1, "gamma"), (2, "beta")) if op.given(index)}
    for key, value in weights.items():
        try:
            weights[key] = np.broadcast_to(value, whole.shape[axis:]).ravel()
        except ValueError as error:
            raise op.error(f"{key} of shape {value.shape} does not fit {whole.shape[axis:]}") from error
    tensor = op.last(tensor, axis)
    if tensor.listed is not None:
        weights = {key: value[tensor.places()] for key, value in weights.items()}
    made = op.add(LayerNormalization(op.number("epsilon", 1e-5)), tensor.node, weights=weights)
    return op.reshaped(tensor.of(made), whole.shape)


@dataclass(frozen=True)
class LayerNormalization(Operator):
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis; weights ``gamma``, ``beta`` (C,): 1, 0.

    Not ``centred``: the mean counts as 0, and the variance is the mean of the squares (RMS normalisation).
    Integers, with S and Q the sums of q and of q * q over the C channels, and e = C * C * epsilon / step^2, at least 1;
    not centred, with q - zero point for q and 0 for S:
        V     = C * Q - S * S + e              k: the least whole number with V / 4^k < 2^30
        root  = isqrt(V / 4^k)                 inverse = (2^30 + root / 2) / root
        n_c   = ((C * q_c - S) * inverse + 2^(h - 1)) >> h,   h = 19 + k: normalised, 11 bits behind the point
        q_out = clip((m_c * n_c + r_c) >> f)   constants ``multiplier`` m, ``offset`` r, ``shift`` f, ``epsilon`` e
    """

    epsilon: float
    centred: bool = True

    fuses_clip: ClassVar[bool] = True
    keras_layers: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "LayerNormalization": from_keras,
        "RMSNormalization": from_keras_root_mean_square,
        "UnitNormalization": from_keras_unit,
    }
    keras_operations: ClassVar[Mapping[str, Callable[..., Any]]] = {
        "LayerNorm": from_operation,
        "Normalize": from_operation_unit,
        "RMSNorm": from_operation,
    }
    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"L2_NORMALIZATION": from_tflite}
    onnx_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"LayerNormalization": from_onnx}

    @property
    def gives_channel_steps(self) -> bool:
        return True

    def _details(self) -> str:
        return "" if self.centred else " of root mean square"

    def output_shape(self, *shapes: Shape) -> Shape:
        if not shapes[0] or shapes[0][-1] > _MOST_CHANNELS:
            raise ValueError(f"layer normalisation of {shapes[0]}; at most {_MOST_CHANNELS} channels")
        return shapes[0]

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        x = inputs[0]
        centred = x - mean(x, -1, keepdims=True) if self.centred else x
        value = centred / np.sqrt(mean(centred * centred, -1, keepdims=True) + self.epsilon)
        return self.clip((value * weights.get("gamma", 1.0) + weights.get("beta", 0.0)).astype(x.dtype))

    def _zero(self, source: Format) -> int:
        """What is subtracted from the integers: the mean takes a zero point away by itself."""
        return 0 if self.centred else source.zero_point

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        channels, step = shapes[0][-1], np.asarray(output.step, np.float64)
        gamma, beta = (np.asarray(weights.get(key, one), np.float64) for key, one in (("gamma", 1.0), ("beta", 0.0)))
        ratio = np.broadcast_to(gamma / step, (channels,)) * 2.0**-_FRACTION
        bias = np.broadcast_to(beta / step, (channels,))
        largest = np.sqrt(channels) * 2.0**_FRACTION + 2 + np.abs(bias).max() / max(np.abs(ratio).max(), 1e-300)
        m, shift = multipliers(ratio, largest, output)
        offset = np.floor(bias * 2.0**shift + 0.5).astype(np.int64) + half(shift) + (output.zero_point << shift)
        epsilon = max(1, round(channels**2 * self.epsilon / float(inputs[0].step) ** 2))
        return {
            "multiplier": m,
            "offset": offset,
            "shift": np.array([shift]),
            "epsilon": np.array(min(epsilon, 1 << 60)),
        }

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        q = inputs[0].astype(np.int64) - self._zero(formats[0])
        channels = q.shape[-1]
        total = q.sum(axis=-1, keepdims=True) * self.centred
        variance = channels * (q * q).sum(axis=-1, keepdims=True) - total * total + constants["epsilon"]
        bits = np.frexp(variance.astype(np.float64))[1]
        bits -= (np.int64(1) << (bits - 1)) > variance  # where the conversion rounded up to a power of two
        k = (bits - 29) // 2
        scaled = (variance >> np.maximum(2 * k, 0)) << np.maximum(-2 * k, 0)
        root = np.floor(np.sqrt(scaled.astype(np.float64))).astype(np.int64)
        inverse = ((1 << 30) + root // 2) // root
        h = 30 - _FRACTION + k
        normal = ((channels * q - total) * inverse + (np.int64(1) << (h - 1))) >> h
        value = (constants["multiplier"] * normal + constants["offset"]) >> constants["shift"]
        low, high = integer_clip(self, output)
        result: Array = np.clip(value, low, high).astype(output.dtype)
        return result

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        return RowWindow()

    def macs(self, shapes: Sequence[Shape]) -> int:
        return 3 * prod(shapes[0])

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        arrays, parameters = channel_parameters(self, layer.constants, layer.output, wide=False)
        parameters |= {"centred": self.centred, "zero": self._zero(layer.sources[0])}
        parameters["epsilon"] = int(layer.constants["epsilon"])
        shape = layer.shape
        cost = 40 * prod(shape) + 400 * prod(shape[:-1])
        return [Kernel("portable", f"operators/{self.name}.c.j2", parameters, arrays, instructions=cost)]
