"""How is a layer computed for all steps of a sequence at once? Its operators, with one more axis in front.

Windows slide over the frames one below the other, as one tall image (steps * height, width, channels). Each frame gets
rows of zeros, as its padding asks and so that the next frame begins where a window does; windows that see two frames are
thrown away. Where the rows of windows fill the frames, as in pooling by whole windows, there is nothing to add or remove.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.graph.window import Padding, Size, extent
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.layer_normalization import LayerNormalization
from ggdq_mcu.operators.log_softmax import LogSoftmax
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.permute import Permute
from ggdq_mcu.operators.prelu import PReLU
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.operators.zero_padding2d import ZeroPadding2D

_OF_LAST_AXES = (
    Activation, Affine, BatchNormalization, Clip, Concatenate, Dense, LayerNormalization, LogSoftmax, PReLU,
    Softmax,
)  # fmt: skip
_Window = Conv2D | DepthwiseConv2D | AveragePool2D | MaxPool2D


def over_time(
    nodes: Sequence[Node], shapes: Mapping[str, Shape], steps: int, auxiliary: Callable[[str], str]
) -> list[Node] | None:
    """Nodes of the same names that compute ``steps`` frames, where all can; ``shapes`` are those of one frame."""
    names = (auxiliary(f"over_time_{i}") for i in count())
    made: list[Node] = []
    for node in nodes:
        image = shapes[node.inputs[0]]
        operator = _with_axis(node.operator, image, steps)
        if operator is not None:
            made.append(replace(node, operator=operator))
        elif isinstance(node.operator, _Window) and not _pads_below(node.operator):
            made += _windows(node, image, shapes[node.name], steps, names)
        else:
            return None
    return made


def _with_axis(operator: Operator, image: Shape, steps: int) -> Operator | None:
    """The operator on (steps, ...), where it is of one piece."""
    if isinstance(operator, _OF_LAST_AXES):
        return operator
    if isinstance(operator, Reshape):
        return replace(operator, shape=(steps, *operator.shape))
    if isinstance(operator, Permute):
        return replace(operator, order=(1, *(axis + 1 for axis in operator.order)))
    if isinstance(operator, Slice):
        several = (1, *operator.steps) if operator.steps else ()
        return replace(operator, starts=(0, *operator.starts), sizes=(steps, *operator.sizes), steps=several)
    if isinstance(operator, Broadcast) and len(image) == len(operator.shape):
        return replace(operator, shape=(steps, *operator.shape))
    return None


def _pads_below(operator: _Window) -> bool:
    """Has it padding above or below that is not zeros?"""
    pooling = isinstance(operator, AveragePool2D | MaxPool2D)
    return pooling and operator.padding.top + operator.padding.bottom > 0


def _windows(node: Node, image: Shape, out: Shape, steps: int, names: Iterator[str]) -> Iterator[Node]:
    operator = node.operator
    assert isinstance(operator, _Window)
    height, width, channels = image
    rows, columns, filters = out
    pooling = isinstance(operator, AveragePool2D | MaxPool2D)
    kernel = operator.pool_size if isinstance(operator, AveragePool2D | MaxPool2D) else operator.kernel_size
    span = extent(kernel, Size(1, 1) if isinstance(operator, AveragePool2D | MaxPool2D) else operator.dilation).height
    stride, padding = operator.strides.height, operator.padding
    tall = -(-max(padding.top + height + padding.bottom, rows * stride) // stride) * stride  # of a frame
    source = node.inputs
    if tall > height:
        lines = Node(next(names), Reshape((steps, height, width * channels)), source)
        below = Padding(0, 0, padding.top, tall - height - padding.top)
        yield from (lines, padded := Node(next(names), ZeroPadding2D(below), (lines.name,)))
        source = (padded.name,)
    stacked = Node(next(names), Reshape((steps * tall, width, channels)), source)
    yield stacked
    source = (stacked.name,)
    beyond = max(span - stride, 0)  # what the windows of the last rows see below the last frame
    if pooling and beyond:
        more = Node(next(names), ZeroPadding2D(Padding(0, beyond, 0, 0)), source)
        yield more
        source, beyond = (more.name,), 0
    flat = replace(operator, padding=Padding(0, beyond, padding.left, padding.right))
    slid = Node(next(names), flat, source, node.weights)
    yield slid
    if tall // stride == rows:
        yield Node(node.name, Reshape((steps, *out)), (slid.name,))
        return
    apart = Node(next(names), Reshape((steps, tall // stride, columns * filters)), (slid.name,))
    kept = Node(next(names), Slice((0, 0, 0), (steps, rows, columns * filters)), (apart.name,))
    yield from (apart, kept, Node(node.name, Reshape((steps, *out)), (kept.name,)))
