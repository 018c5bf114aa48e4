"""Where do batch normalisation, rescaling and their kind go? Into the weights next to them, at no cost on the device.

By channel it is y = scale * x + offset. A linear layer before it takes it as scale * W and scale * b + offset; a linear
layer after it as W * scale and b + sum of W * offset. What that layer pads becomes the value that the map turns into 0;
so it has to be one for all channels, and the map one of a network's input, whose format is made to hold the value. A
clip between map and layer moves along where scale and offset are the same for all channels, or the clip is a ReLU and
there is no offset. (Normalisation: Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", CVPR 2018, section 3.2.)
"""

from __future__ import annotations

from dataclasses import replace
from math import inf, isinf, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Graph, Node, Statistics
from ggdq_mcu.graph.graph import Shape
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Size
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.operators.affine import Affine
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.batch_normalization import BatchNormalization
from ggdq_mcu.operators.clip import Clip
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.copy import Copy
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.passes.rewrite import fresh_name, rewritten, sole_reader, upstream

Array = NDArray[Any]
_SAME = 1e-6  # relative difference of numbers that are the same but for the rounding of float32


def fold_batch_normalization(graph: Graph) -> Graph:
    """Each BatchNormalization and Affine goes into a linear layer before or after it, or becomes a 1x1 depthwise one.

    The node that takes it from behind keeps its name and gets ``statistics``: mean and deviation of its output, before
    any clip, over the training data.
    """
    for found in [node.name for node in graph.nodes if isinstance(node.operator, BatchNormalization | Affine)]:
        graph, name = _before_clip(graph, found)
        graph = _into_producer(graph, name) or _into_reader(graph, name) or _as_depthwise(graph, name)
    return graph


def _affine(node: Node) -> tuple[Array, Array]:
    assert isinstance(node.operator, BatchNormalization | Affine)
    return node.operator.affine(node.weights)


def _statistics(node: Node, before: Statistics | None = None, clipped: bool = False) -> Statistics | None:
    """Of a normalisation of something unclipped, else of an affine map of what has the statistics ``before``."""
    if isinstance(node.operator, BatchNormalization) and not clipped:
        return Statistics(*node.operator.statistics(node.weights))
    if before is None:
        return None
    scale, offset = _affine(node)
    return Statistics(before.mean * scale + offset, before.deviation * np.abs(scale))


def _unclipped(operator: Operator) -> bool:
    return isinf(operator.low) and isinf(operator.high)


def _clip_behind(operator: Operator, scale: Array, offset: Array) -> dict[str, float] | None:
    """The operator's clip where the affine map comes before it, not after it; None where that is another function."""
    if not np.all(scale > 0):
        return None if not _unclipped(operator) else {}
    if np.ptp(scale) == 0 and np.ptp(offset) == 0:
        return {side: float(getattr(operator, side) * scale[0] + offset[0]) for side in ("low", "high")}
    bounds = {operator.low, operator.high}
    return {} if bounds <= {-inf, inf} or (bounds <= {0.0, -inf, inf} and not np.any(offset)) else None


def _before_clip(graph: Graph, name: str) -> tuple[Graph, str]:
    """The graph with an affine map in front of the clip that it reads, where that is the same, and the map's name."""
    node = graph.by_name[name]
    before = next(upstream(graph, node), None)
    if before is None or not isinstance(before.operator, Clip):
        return graph, name
    bounds = _clip_behind(before.operator, *_affine(node))
    if bounds is None:
        return graph, name
    # A plain affine map: what training saw of the normalisation was behind the clip, not before it.
    scale, offset = _affine(node)
    first = Node(before.name, Affine(), before.inputs, _float32(scale=scale, offset=offset))
    clip = Node(name, replace(before.operator, **bounds), (before.name,))
    return rewritten(graph, {before.name: (first,), name: (clip,)}), before.name


def _commutes(operator: Operator, scale: Array, shape: Shape) -> bool:
    """Is the operator of an affine map by channel, on an input of the shape, the affine map of the operator?"""
    if not _unclipped(operator):
        return False
    if isinstance(operator, Copy):
        carried = operator.carry_step(np.arange(shape[-1]), [shape])
        return carried is not None and np.array_equal(carried, np.arange(shape[-1]))
    if isinstance(operator, MaxPool2D):
        return bool(np.all(scale > 0))  # a negative scale turns the largest value into the smallest
    return isinstance(operator, AveragePool2D | Reshape)


def _into_producer(graph: Graph, name: str) -> Graph | None:
    node = graph.by_name[name]
    scale, offset = _affine(node)
    for before in upstream(graph, node):
        if isinstance(before.operator, Linear):
            break
        shape = graph.shapes[before.inputs[0]] if before.inputs else ()
        if not shape or shape[-1] % scale.size or not _commutes(before.operator, scale, shape):
            return None
        scale, offset = np.tile(scale, shape[-1] // scale.size), np.tile(offset, shape[-1] // offset.size)
    else:
        return None
    linear, channels = before.operator, scale.size
    bounds = _clip_behind(linear, scale, offset)
    if bounds is None or graph.shapes[before.name][-1] != channels:
        return None
    kernel = np.asarray(before.weights["kernel"], np.float64)
    bias = before.weights.get("bias", np.zeros(channels)) * scale + offset
    weights = _float32(kernel=kernel * linear.output_step(kernel, scale), bias=bias)
    statistics = _statistics(node, before.statistics, not _unclipped(linear)) if node.inputs[0] == before.name else None
    folded = replace(before, operator=replace(linear, **bounds), weights=weights, statistics=statistics)
    return rewritten(graph, {before.name: (folded,), name: ()}, {name: node.inputs[0]})


def _into_reader(graph: Graph, name: str) -> Graph | None:
    """The graph with the normalisation in the linear layer behind it: the next, or one behind pooling and reshapes."""
    node = graph.by_name[name]
    scale, offset = _affine(node)
    last, kept = name, _is_input(graph, node.inputs[0])
    while (reader := sole_reader(graph, last)) is not None and not isinstance(reader.operator, Linear):
        width = graph.shapes[reader.name][-1] if graph.shapes[reader.name] else 0
        if width == 0 or width % scale.size or not _commutes(reader.operator, scale, graph.shapes[last]):
            return None
        scale, offset = np.tile(scale, width // scale.size), np.tile(offset, width // offset.size)
        last, kept = reader.name, kept and reader.operator.keeps_format
    if reader is None or graph.shapes[last][-1] != scale.size:
        return None
    linear = reader.operator
    assert isinstance(linear, Linear)
    outside = _padding_before(linear, scale, offset)
    if outside is None or (outside and not kept):
        return None  # but of an input, nothing says that the format can hold the value
    kernel = np.asarray(reader.weights["kernel"], np.float64)
    shift = total(linear.by_output(kernel * linear.input_step(kernel, offset)), 0)
    weights = _float32(
        kernel=kernel * linear.input_step(kernel, scale),
        bias=reader.weights.get("bias", np.zeros(shift.shape)) + shift,
    )
    folded = replace(reader, operator=replace(linear, padding_value=outside), weights=weights)
    return rewritten(graph, {reader.name: (folded,), name: ()}, {name: node.inputs[0]})


def _padding_before(linear: Linear, scale: Array, offset: Array) -> float | None:
    """The value in front of an affine map that becomes what the layer pads behind it; None where no one value does."""
    if not any(getattr(linear, "padding", ())):
        return 0.0
    if not np.any(linear.padding_value - offset):
        return 0.0
    if not np.all(scale):
        return None
    values = (linear.padding_value - offset) / scale
    return float(values[0]) if np.ptp(values) <= _SAME * np.abs(values[0]) else None


def _is_input(graph: Graph, name: str) -> bool:
    """Is it an input of the network, under whatever shape?"""
    while graph.by_name[name].operator.is_view:
        (name,) = graph.by_name[name].inputs
    return not graph.by_name[name].inputs


def _as_depthwise(graph: Graph, name: str) -> Graph:
    """The graph with the normalisation as a 1x1 depthwise convolution, between reshapes where it is not of an image."""
    node = graph.by_name[name]
    scale, offset = _affine(node)
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
