"""Random float networks with a time axis: sequences and spectrograms, and what is usual on top of them."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, prod

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size, extent, same_padding
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.layer_normalization import LayerNormalization
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D

_KINDS = (
    "conv", "conv", "conv", "depthwise", "depthwise", "max", "average", "add", "add", "concatenate", "dense", "crop",
    "activation", "padding", "gate", "normalization",
)  # fmt: skip
_ENDS = ("nothing", "last", "mean", "largest", "flat")


@st.composite
def streams(draw: Callable) -> tuple[Graph, np.ndarray]:
    """A network of up to six layers on 6 to 24 frames, and samples for it."""
    generator = np.random.default_rng(draw(st.integers(0, 2**20)))
    frames, channels = draw(st.integers(6, 24)), draw(st.sampled_from([1, 2, 3, 4, 8]))
    sequence = draw(st.booleans())
    shape = (frames, channels) if sequence else (frames, draw(st.integers(2, 4)), channels)
    nodes = [Node("input", Input(shape))]
    if sequence:
        nodes.append(Node("image", Reshape((1, *shape)), ("input",)))
    time = 1 if sequence else 0
    for index in range(draw(st.integers(1, 6))):
        shapes = {name: one for name, one in infer_shapes(tuple(nodes)).items() if len(one) == 3}
        source = nodes[-1].name if draw(st.integers(0, 3)) else draw(st.sampled_from(sorted(shapes)))
        kind = draw(st.sampled_from(_KINDS))
        alike = sorted(name for name, one in shapes.items() if one == shapes[source])
        _add(draw, generator, nodes, f"{kind}_{index}", kind, source, shapes[source], time, alike)
    names = [node.name for node in nodes[1:]] or ["input"]
    outputs = [_ended(draw, generator, nodes, names[-1], time)]
    if draw(st.integers(0, 3)) == 0:
        outputs.append(draw(st.sampled_from(names)))
    samples = generator.normal(generator.normal(), generator.uniform(0.1, 4), (5, *shape)).astype(np.float32)
    return Graph("stream", tuple(nodes), tuple(dict.fromkeys(outputs))), samples


def _add(
    draw: Callable,
    generator: np.random.Generator,
    nodes: list[Node],
    name: str,
    kind: str,
    source: str,
    shape: tuple[int, ...],
    time: int,
    alike: list[str],
) -> None:
    low = draw(st.sampled_from([-inf, 0.0]))
    if kind in ("add", "concatenate"):
        operator: Operator = Add(low=low) if kind == "add" else Concatenate(-1)
        nodes.append(Node(name, operator, (source, draw(st.sampled_from(alike)))))
    elif kind == "gate":  # squeeze and excitation: every row changes with the window
        image = Size(*shape[:2])
        nodes.append(Node(f"{name}_mean", AveragePool2D(image, image), (source,)))
        nodes.append(Node(name, Multiply(), (source, f"{name}_mean")))
    else:
        operator, weights = _operator(draw, generator, kind, shape, time, low)
        if prod(operator.output_shape(shape)) <= 600:
            nodes.append(Node(name, operator, (source,), weights))


def _operator(
    draw: Callable, generator: np.random.Generator, kind: str, shape: tuple[int, ...], time: int, low: float
) -> tuple[Operator, dict[str, np.ndarray]]:
    channels = shape[2]
    if kind in ("conv", "depthwise"):
        return _convolution(draw, generator, kind, shape, time, low)
    if kind in ("max", "average"):
        size, strides, _, padding = _window(draw, shape, time, dilated=False)
        limits = (size.height, size.height, size.width, size.width)
        padding = Padding(*(min(edge, limit - 1) for edge, limit in zip(padding, limits, strict=True)))
        return (MaxPool2D if kind == "max" else AveragePool2D)(size, strides, padding), {}
    if kind == "crop":
        return _crop(draw, shape, time), {}
    if kind == "dense":
        units = draw(st.sampled_from([1, 3, 4]))
        return Dense(units, low=low), {"kernel": generator.normal(0, 0.5, (channels, units)).astype(np.float32)}
    edges = (draw(st.integers(0, 3)), draw(st.integers(0, 3)))
    makers: dict[str, Callable[[], Operator]] = {
        "activation": lambda: Activation(draw(st.sampled_from(["sigmoid", "tanh", "hard_silu"]))),
        "normalization": lambda: LayerNormalization(1e-3),
        "padding": lambda: ZeroPadding2D(Padding(*edges, 0, 0) if time == 0 else Padding(0, 0, *edges)),
    }
    return makers[kind](), {}


def _convolution(
    draw: Callable, generator: np.random.Generator, kind: str, shape: tuple[int, ...], time: int, low: float
) -> tuple[Operator, dict[str, np.ndarray]]:
    size, strides, dilation, padding = _window(draw, shape, time, dilated=True)
    outputs = draw(st.sampled_from([1, 3, 4, 8])) if kind == "conv" else 1
    weights = {"kernel": generator.normal(0, 0.5, (*size, shape[2], outputs)).astype(np.float32)}
    operator = Conv2D if kind == "conv" else DepthwiseConv2D
    return operator(size, outputs, strides, padding, dilation, low=low), weights


def _crop(draw: Callable, shape: tuple[int, ...], time: int) -> Operator:
    first = draw(st.integers(0, min(3, shape[time] - 1)))
    step = draw(st.sampled_from([1, 1, 2]))
    count = draw(st.integers(1, -(-(shape[time] - first) // step)))
    starts, sizes, steps = [0, 0, 0], list(shape), [1, 1, 1]
    starts[time], sizes[time], steps[time] = first, count, step
    return Slice(tuple(starts), tuple(sizes), tuple(steps))


def _window(draw: Callable, shape: tuple[int, ...], time: int, dilated: bool) -> tuple[Size, Size, Size, Padding]:
    """A window that slides along the time, and in spectrograms a little along the frequencies."""
    taps, stride = draw(st.integers(1, 4)), draw(st.sampled_from([1, 1, 1, 2, 3]))
    dilation = draw(st.integers(1, 3)) if dilated else 1
    sizes = [(taps, 1), (stride, 1), (dilation, 1)]
    if time == 0 and draw(st.booleans()):
        sizes = [(taps, min(2, shape[1])), (stride, draw(st.integers(1, 2))), (dilation, 1)]
    kernel, strides, apart = (Size(*(one if time == 0 else one[::-1])) for one in sizes)
    image = Size(*shape[:2])
    same = same_padding(image, kernel, strides, apart)
    span = extent(kernel, apart)[time]
    kinds = ["same", "causal", "any", *(["valid", "valid"] if span <= image[time] else [])]
    kind = draw(st.sampled_from(kinds))
    if kind == "same":
        return kernel, strides, apart, same
    before, after = {"causal": (span - 1, 0), "valid": (0, 0)}.get(kind, (draw(st.integers(0, 6)), span))
    other = same._replace(top=before, bottom=after) if time == 0 else same._replace(left=before, right=after)
    return kernel, strides, apart, other


def _ended(draw: Callable, generator: np.random.Generator, nodes: list[Node], name: str, time: int) -> str:
    """What makes a classifier of a network, or nothing; the name of the last node."""
    shape = infer_shapes(tuple(nodes))[name]
    kind = draw(st.sampled_from(_ENDS)) if len(shape) == 3 else "nothing"
    if kind == "nothing":
        return name
    image = Size(*shape[:2])
    if kind == "last":
        last = tuple(shape[axis] - 1 if axis == time else 0 for axis in range(3))
        sizes = tuple(1 if axis == time else shape[axis] for axis in range(3))
        nodes.append(Node("end", Slice(last, sizes), (name,)))
    elif kind != "flat":
        nodes.append(Node("end", (AveragePool2D if kind == "mean" else MaxPool2D)(image, image), (name,)))
    values = prod(infer_shapes(tuple(nodes))[nodes[-1].name])
    nodes.append(Node("flat", Reshape((values,)), (nodes[-1].name,)))
    kernel = generator.normal(0, 0.3, (values, 4)).astype(np.float32)
    nodes.append(Node("scores", Dense(4), ("flat",), {"kernel": kernel}))
    nodes.append(Node("classes", Softmax(), ("scores",)))
    return "classes"
