"""Where does batch normalisation go? Into the weights next to it, so that nothing of it is computed on the device.

By channel it is y = scale * x + offset. A linear layer before it takes it as scale * W and scale * b + offset; a linear
layer after it, where no padding comes between, as W * scale and b + sum of W * offset (Jacob et al., "Quantization and
training of neural networks for efficient integer-arithmetic-only inference", CVPR 2018, section 3.2).
"""

from __future__ import annotations

from dataclasses import replace
from math import isinf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Graph, Node, Statistics
from ggdq_mcu.operators import Operator
from ggdq_mcu.operators._linear import Linear
from ggdq_mcu.operators._window import Size
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.passes.rewrite import fresh_name, rewritten, sole_reader, upstream

Array = NDArray[Any]


def fold_batch_normalization(graph: Graph) -> Graph:
    """Every BatchNormalization goes into the linear layer before it, else after it, else becomes a 1x1 depthwise one.

    The node that takes it from behind keeps its name and gets ``statistics``: mean and deviation of its output, before any
    clip, over the training data.
    """
    for name in [node.name for node in graph.nodes if isinstance(node.operator, BatchNormalization)]:
        graph = _into_producer(graph, name) or _into_reader(graph, name) or _as_depthwise(graph, name)
    return graph


def _affine(node: Node) -> tuple[BatchNormalization, Array, Array]:
    operator = node.operator
    assert isinstance(operator, BatchNormalization)
    return operator, *operator.affine(node.weights)


def _statistics(node: Node) -> Statistics:
    operator, _, _ = _affine(node)
    return Statistics(*operator.statistics(node.weights))


def _unclipped(operator: Operator) -> bool:
    return isinf(operator.low) and isinf(operator.high)


def _commutes(operator: Operator, scale: Array) -> bool:
    """Is the operator of an affine map by channel the affine map of the operator?"""
    if not _unclipped(operator):
        return False
    if isinstance(operator, MaxPool2D):
        return bool(np.all(scale > 0))  # a negative scale turns the largest value into the smallest
    return isinstance(operator, AveragePool2D | Reshape)


def _into_producer(graph: Graph, name: str) -> Graph | None:
    node = graph.by_name[name]
    _, scale, offset = _affine(node)
    channels = scale.size
    for before in upstream(graph, node):
        if isinstance(before.operator, Linear):
            break
        if not _commutes(before.operator, scale) or graph.shapes[before.inputs[0]][-1] != channels:
            return None
    else:
        return None
    linear = before.operator
    if not _unclipped(linear) or graph.shapes[before.name][-1] != channels:
        return None
    kernel = np.asarray(before.weights["kernel"], np.float64)
    bias = before.weights.get("bias", np.zeros(channels)) * scale + offset
    weights = _float32(kernel=kernel * linear.output_step(kernel, scale), bias=bias)
    statistics = _statistics(node) if node.inputs[0] == before.name else None
    folded = replace(before, weights=weights, statistics=statistics)
    return rewritten(graph, {before.name: (folded,), name: ()}, {name: node.inputs[0]})


def _into_reader(graph: Graph, name: str) -> Graph | None:
    """The graph with the normalisation in the linear layer behind it: the next, or one behind pooling and reshapes."""
    node = graph.by_name[name]
    _, scale, offset = _affine(node)
    last = name
    while (reader := sole_reader(graph, last)) is not None and not isinstance(reader.operator, Linear):
        width = graph.shapes[reader.name][-1] if graph.shapes[reader.name] else 0
        if not _commutes(reader.operator, scale) or width == 0 or width % scale.size:
            return None
        scale, offset = np.tile(scale, width // scale.size), np.tile(offset, width // offset.size)
        last = reader.name
    if reader is None or graph.shapes[last][-1] != scale.size:
        return None
    linear = reader.operator
    assert isinstance(linear, Linear)
    if any(getattr(linear, "padding", ())) and np.any(offset):
        return None  # what is padded is 0 behind the normalisation, which is another value before it
    kernel = np.asarray(reader.weights["kernel"], np.float64)
    shift = linear.by_output(kernel * linear.input_step(kernel, offset)).sum(axis=0)
    weights = _float32(
        kernel=kernel * linear.input_step(kernel, scale),
        bias=reader.weights.get("bias", np.zeros(shift.shape)) + shift,
    )
    folded = replace(reader, weights=weights)
    return rewritten(graph, {reader.name: (folded,), name: ()}, {name: node.inputs[0]})


def _as_depthwise(graph: Graph, name: str) -> Graph:
    """The graph with the normalisation as a 1x1 depthwise convolution, between reshapes where it is not of an image."""
    node = graph.by_name[name]
    _, scale, offset = _affine(node)
    weights = _float32(kernel=scale.reshape(1, 1, -1, 1), bias=offset)
    operator = DepthwiseConv2D(Size(1, 1))
    shape = graph.shapes[name]
    statistics = _statistics(node)
    if len(shape) == 3:
        return rewritten(graph, {name: (Node(name, operator, node.inputs, weights, statistics),)})
    image = Node(fresh_name(graph, f"{name}_image"), Reshape((1, prod(shape[:-1]), shape[-1])), node.inputs)
    scaled = Node(fresh_name(graph, f"{name}_scaled"), operator, (image.name,), weights, statistics)
    return rewritten(graph, {name: (image, scaled, Node(name, Reshape(shape), (scaled.name,)))})


def _float32(**arrays: Array) -> dict[str, Array]:
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}
