"""Random float networks of every operator, with odd shapes, and random samples for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import inf, prod

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size, extent, same_padding
from ggdq_mcu.operators.activation import FUNCTIONS, Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.extremum import Extremum
from ggdq_mcu.operators.gru import GRU
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.layer_normalization import LayerNormalization
from ggdq_mcu.operators.log_softmax import LogSoftmax
from ggdq_mcu.operators.lstm import LSTM
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.prelu import PReLU
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.pool import Pool
from ggdq_mcu.operators.simple_rnn import SimpleRNN
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.operators.up_sampling2d import UpSampling2D
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D

_CLIPS = [(-inf, inf), (-inf, inf), (0.0, inf), (0.0, 6.0), (-1.0, 1.0)]
_ANY_KINDS = (
    "dense", "add", "extremum", "multiply", "concatenate", "clip", "activation", "reshape", "softmax", "log_softmax",
    "permute", "slice", "broadcast", "prelu", "normalization",
)  # fmt: skip
_IMAGE_KINDS = (
    *_ANY_KINDS, "conv", "conv", "depthwise", "depthwise", "max", "average", "padding", "flatten", "upsampling",
    "sequence", "sequence", "sequence",
)  # fmt: skip
_SEQUENCE_KINDS = (*_ANY_KINDS, *("recurrent",) * 6)
_VECTOR_KINDS = (*_ANY_KINDS, "dense", "dense")
_JOINING = {"add": 2, "extremum": 2, "multiply": 1, "concatenate": 3}  # inputs beside the first, at most
_LARGEST = 600  # elements of a feature map


@st.composite
def networks(draw: Callable) -> tuple[Graph, np.ndarray]:
    """A network of up to eight operators and samples for its one input."""
    generator = np.random.default_rng(draw(st.integers(0, 2**20)))
    shape = draw(st.sampled_from([(7, 5, 3), (6, 6, 1), (9, 1, 2), (1, 8, 4), (5,), (4, 4, 9), (12,), (6, 3)]))
    nodes = [Node("input", Input(shape))]
    for index in range(draw(st.integers(1, 8))):
        shapes = infer_shapes(tuple(nodes))
        source = nodes[-1].name if draw(st.integers(0, 3)) else draw(st.sampled_from(sorted(shapes)))
        kinds = {3: _IMAGE_KINDS, 2: _SEQUENCE_KINDS}.get(len(shapes[source]), _VECTOR_KINDS)
        kind = draw(st.sampled_from(kinds))
        inputs = (source,)
        if kind in _JOINING:
            alike = [name for name in shapes if _joins(kind, shapes[name], shapes[source])]
            inputs += tuple(draw(st.lists(st.sampled_from(alike), min_size=1, max_size=_JOINING[kind])))
        operator, weights = _operator(draw, generator, kind, shapes[source])
        if kind == "add" and draw(st.booleans()):
            signs = tuple(draw(st.sampled_from([1, -1])) for _ in inputs)
            operator = replace(operator, signs=signs, divisor=draw(st.integers(1, 3)))
        if prod(operator.output_shape(*(shapes[name] for name in inputs))) <= _LARGEST:
            nodes.append(Node(f"{kind}_{index}", operator, inputs, weights))
    names = [node.name for node in nodes[1:]] or ["input"]
    extra = draw(st.lists(st.sampled_from(names), max_size=2))
    outputs = tuple(dict.fromkeys([names[-1], *extra]))
    samples = generator.normal(generator.normal(), generator.uniform(0.1, 4), (6, *shape)).astype(np.float32)
    if draw(st.booleans()):
        samples = np.abs(samples)
    return Graph("random", tuple(nodes), outputs), samples


def _operator(
    draw: Callable, generator: np.random.Generator, kind: str, shape: tuple[int, ...]
) -> tuple[Operator, dict[str, np.ndarray]]:
    low, high = draw(st.sampled_from(_CLIPS))
    clip = {"low": low, "high": high}
    bias = draw(st.booleans())
    if kind in ("conv", "depthwise"):
        return _convolution(draw, generator, kind, shape, bias, clip)
    if kind == "dense":
        units = draw(st.sampled_from([1, 3, 4, 10]))
        return Dense(units, **clip), _weights(generator, (shape[-1], units), units, bias)
    if kind == "prelu":
        slopes = tuple(draw(st.sampled_from([1, size])) for size in shape)
        return PReLU(**clip), {"slope": generator.normal(0.2, 0.5, slopes).astype(np.float32)}
    if kind == "normalization":
        weights = {"gamma": generator.normal(1, 0.5, shape[-1:]), "beta": generator.normal(0, 1, shape[-1:])}
        epsilon = draw(st.sampled_from([1e-3, 1e-7, 10.0]))
        operator = LayerNormalization(epsilon, draw(st.booleans()), **clip)
        return operator, {key: one.astype(np.float32) for key, one in weights.items()}
    if kind == "recurrent":
        return _recurrent(draw, generator, shape, bias, clip)
    return _weightless(draw, kind, shape, clip), {}


def _recurrent(
    draw: Callable, generator: np.random.Generator, shape: tuple[int, ...], bias: bool, clip: dict
) -> tuple[Operator, dict[str, np.ndarray]]:
    """Functions that are bounded, for values that no step multiplies without end."""
    functions = st.sampled_from(["tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign"])
    options = {"units": draw(st.integers(1, 4)), "activation": draw(functions), "recurrent_activation": draw(functions)}
    flags = ("return_sequences", "go_backwards", "input_order", "stateful")
    options |= {flag: draw(st.booleans()) for flag in flags} | clip
    kinds = [LSTM(**options), GRU(**options), GRU(**options, reset_after=False), SimpleRNN(**options)]
    operator = draw(st.sampled_from(kinds))
    rows = operator.gates * operator.units
    weights = _weights(generator, (shape[-1], rows), rows, bias)
    weights["recurrent"] = _weights(generator, (operator.units, rows), rows, False)["kernel"]
    if bias and isinstance(operator, GRU) and operator.reset_after:
        weights["bias"] = np.stack([weights["bias"], -weights["bias"]])
    return operator, weights


def _weightless(draw: Callable, kind: str, shape: tuple[int, ...], clip: dict) -> Operator:
    axes = (-1,) if len(shape) < 3 else (-1, -1, -2, -3)
    makers: dict[str, Callable[[], Operator]] = {
        "activation": lambda: _activation(draw),
        "add": lambda: Add(**clip),
        "average": lambda: _pool(draw, AveragePool2D, shape),
        "broadcast": lambda: _copy(draw, kind, shape),
        "clip": lambda: Clip(**clip),
        "concatenate": lambda: Concatenate(draw(st.sampled_from(axes)), **clip),
        "extremum": lambda: Extremum(draw(st.booleans()), **clip),
        "flatten": lambda: Reshape((prod(shape),)),
        "log_softmax": LogSoftmax,
        "max": lambda: _pool(draw, MaxPool2D, shape),
        "multiply": lambda: Multiply(**clip),
        "padding": lambda: ZeroPadding2D(Padding(*draw(st.tuples(*[st.integers(0, 2)] * 4)))),
        "permute": lambda: _copy(draw, kind, shape),
        "sequence": lambda: Reshape((shape[0], shape[1] * shape[2])),
        "reshape": lambda: Reshape((1, prod(shape[:-1]), shape[-1])),
        "slice": lambda: _copy(draw, kind, shape),
        "softmax": Softmax,
        "upsampling": lambda: UpSampling2D(Size(draw(st.integers(1, 3)), draw(st.integers(1, 3)))),
    }
    return makers[kind]()


def _activation(draw: Callable) -> Operator:
    function = draw(st.sampled_from(sorted(set(FUNCTIONS) - {"exponential"})))
    return Activation(function, 0.25, 0.125 if function == "thresholded_relu" and draw(st.booleans()) else 0.0)


def _pool(draw: Callable, kind: type[Pool], shape: tuple[int, ...]) -> Operator:
    """Pooling whose every window sees a real pixel, as in Keras."""
    window, strides, _, padding = _window(draw, shape, dilated=False)
    sides = (window.height, window.height, window.width, window.width)
    return kind(window, strides, Padding(*(min(edge, size - 1) for edge, size in zip(padding, sides, strict=True))))


def _joins(kind: str, shape: tuple[int, ...], first: tuple[int, ...]) -> bool:
    """May a tensor of that shape be joined to the first? Along which axis is not known yet: all but one size agree."""
    if kind == "concatenate":
        return len(shape) == len(first) and shape[:-1] == first[:-1] and (len(shape) < 3 or shape == first)
    if len(shape) > len(first):
        return False
    return all(a in (b, 1) for a, b in zip(reversed(shape), reversed(first), strict=False))


def _copy(draw: Callable, kind: str, shape: tuple[int, ...]) -> Operator:
    """Axes in another order, a part of each axis, or a new first axis."""
    if kind == "permute":
        return Permute(tuple(draw(st.permutations(range(1, len(shape) + 1)))))
    if kind == "broadcast":
        whole = tuple(draw(st.integers(1, 3)) if size == 1 else size for size in shape)
        return Broadcast((draw(st.integers(1, 3)), *whole) if len(shape) < 3 else whole)
    starts = tuple(draw(st.integers(0, min(size - 1, 2))) for size in shape)
    steps = tuple(draw(st.sampled_from([1, 1, 2])) for _ in shape)
    rest = zip(shape, starts, steps, strict=True)
    return Slice(starts, tuple(draw(st.integers(1, -(-(size - start) // step))) for size, start, step in rest), steps)


def _convolution(
    draw: Callable, generator: np.random.Generator, kind: str, shape: tuple[int, ...], bias: bool, clip: dict
) -> tuple[Operator, dict[str, np.ndarray]]:
    kernel, strides, dilation, padding = _window(draw, shape, dilated=True)
    channels = shape[2]
    if kind == "depthwise":
        multiplier = draw(st.sampled_from([1, 1, 2, 3]))
        weights = _weights(generator, (*kernel, channels, multiplier), channels * multiplier, bias)
        return DepthwiseConv2D(kernel, multiplier, strides, padding, dilation, **clip), weights
    groups = draw(st.sampled_from([g for g in (1, 1, 2, 3) if channels % g == 0]))
    filters = groups * draw(st.sampled_from([1, 3, 4, 8]))
    weights = _weights(generator, (*kernel, channels // groups, filters), filters, bias)
    return Conv2D(kernel, filters, strides, padding, dilation, groups, **clip), weights


def _window(draw: Callable, shape: tuple[int, ...], dilated: bool) -> tuple[Size, Size, Size, Padding]:
    image = Size(*shape[:2])
    kernel = Size(draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = Size(draw(st.integers(1, 2)), draw(st.integers(1, 2))) if dilated else Size(1, 1)
    strides = Size(draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    span = extent(kernel, dilation)
    valid = span.height <= image.height and span.width <= image.width
    choice = draw(st.sampled_from(["same", "any", "valid"] if valid else ["same"]))
    if choice == "same":
        return kernel, strides, dilation, same_padding(image, kernel, strides, dilation)
    padding = draw(st.tuples(*[st.integers(0, 2)] * 4)) if choice == "any" else (0, 0, 0, 0)
    return kernel, strides, dilation, Padding(*padding)


def _weights(generator: np.random.Generator, shape: tuple[int, ...], outputs: int, bias: bool) -> dict[str, np.ndarray]:
    scale = generator.choice([0.02, 0.5, 3.0])
    kernel = generator.normal(0, scale, shape) * (generator.random(shape) > generator.choice([0.0, 0.3, 1.1]))
    weights = {"kernel": kernel.astype(np.float32)}
    if bias:
        weights["bias"] = (generator.normal(0, 1, outputs) * generator.integers(0, 2)).astype(np.float32)
    return weights
