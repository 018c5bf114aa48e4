"""Which weights see nothing but padding, and which convolutions are a product with a matrix? Both have a cheaper form.

Small images at a network's end have windows larger than themselves: a 3x3 kernel with padding 1 on an image of one pixel
uses its middle alone. A window that is the whole image is a dense layer, and so is a 1x1 kernel on one pixel.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.passes.rewrite import fresh_name, rewritten

_FEWEST_VECTORS = 4  # from which on the kernels of convolution are faster than those of dense layers


def cut_kernels(graph: Graph) -> Graph:
    """Convolutions without the rows and columns of their kernels that see zeros alone, wherever the window is."""
    for node in graph.nodes:
        operator = node.operator
        if not isinstance(operator, Conv2D | DepthwiseConv2D) or operator.padding_value or not any(operator.padding):
            continue
        height, width, _ = graph.shapes[node.inputs[0]]
        out, (top, bottom, left, right) = graph.shapes[node.name], operator.padding
        rows = _seen(
            _Axis(height, out[0], operator.kernel_size[0], operator.strides[0], operator.dilation[0], top, bottom)
        )
        columns = _seen(
            _Axis(width, out[1], operator.kernel_size[1], operator.strides[1], operator.dilation[1], left, right)
        )
        size = Size(rows.stop - rows.start, columns.stop - columns.start)
        if size == operator.kernel_size:
            continue
        padding = Padding(rows.before, rows.after, columns.before, columns.after)
        kernel = node.weights["kernel"][rows.start : rows.stop, columns.start : columns.stop]
        cut = replace(operator, kernel_size=size, padding=padding)
        graph = rewritten(
            graph, {node.name: (replace(node, operator=cut, weights={**node.weights, "kernel": kernel}),)}
        )
    return graph


class _Axis(NamedTuple):
    size: int
    positions: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int


class _Taps(NamedTuple):
    """The taps ``start`` to ``stop`` of a kernel, and the padding that these need."""

    start: int
    stop: int
    before: int
    after: int


def _seen(axis: _Axis) -> _Taps:
    """The taps from the first to the last that see the image; all of them where the others cannot go."""
    places = np.arange(axis.positions)[:, None] * axis.stride - axis.before + np.arange(axis.taps) * axis.dilation
    seen = np.flatnonzero(np.any((places >= 0) & (places < axis.size), axis=0))
    if seen.size:
        start, stop = int(seen[0]), int(seen[-1]) + 1
        before, after = axis.before - start * axis.dilation, axis.after - (axis.taps - stop) * axis.dilation
        if min(before, after) >= 0:
            return _Taps(start, stop, before, after)
    return _Taps(0, axis.taps, axis.before, axis.after)


def whole_windows_as_dense(graph: Graph) -> Graph:
    """Convolutions with one position, whose window is the image, are dense layers; they keep their name.

    Not what the network returns, whose shape stays.
    """
    for node in graph.nodes:
        operator = node.operator
        if (
            not isinstance(operator, Conv2D)
            or operator.groups != 1
            or any(operator.padding)
            or node.name in graph.outputs
        ):
            continue
        image, out = graph.shapes[node.inputs[0]], graph.shapes[node.name]
        if operator.kernel_size != image[:2] or out[:2] != (1, 1):
            continue
        weights = {**node.weights, "kernel": node.weights["kernel"].reshape(-1, operator.filters)}
        vector = Node(fresh_name(graph, f"{node.name}_vector"), Reshape((int(np.prod(image)),)), node.inputs)
        linear = Node(
            node.name,
            Dense(operator.filters, low=operator.low, high=operator.high),
            (vector.name,),
            weights,
            node.statistics,
        )
        whole = Node(fresh_name(graph, f"{node.name}_image"), Reshape(out), (node.name,))
        graph = rewritten(graph, {node.name: (vector, linear, whole)})
        graph = _read_instead(graph, node.name, whole.name)
    return graph


def dense_as_pointwise(graph: Graph) -> Graph:
    """Dense layers of several vectors are 1x1 convolutions, which read each weight once for five of them."""
    for node in graph.nodes:
        shape = graph.shapes[node.name]
        vectors = int(np.prod(shape[:-1]))
        if not isinstance(node.operator, Dense) or vectors < _FEWEST_VECTORS or node.name in graph.outputs:
            continue
        channels, operator = graph.shapes[node.inputs[0]][-1], node.operator
        weights = {**node.weights, "kernel": node.weights["kernel"][None, None]}
        row = Node(fresh_name(graph, f"{node.name}_row"), Reshape((1, vectors, channels)), node.inputs)
        pointwise = Conv2D(Size(1, 1), operator.units, low=operator.low, high=operator.high)
        linear = replace(node, operator=pointwise, inputs=(row.name,), weights=weights)
        whole = Node(fresh_name(graph, f"{node.name}_vectors"), Reshape(shape), (node.name,))
        graph = rewritten(graph, {node.name: (row, linear, whole)})
        graph = _read_instead(graph, node.name, whole.name)
    return graph


def _read_instead(graph: Graph, name: str, view: str) -> Graph:
    """The graph in which what read ``name`` reads ``view`` of it."""

    def target(source: str) -> str:
        return view if source == name else source

    nodes = tuple(
        node if node.name == view else replace(node, inputs=tuple(map(target, node.inputs))) for node in graph.nodes
    )
    return Graph(graph.name, nodes, tuple(map(target, graph.outputs)))
