"""Random networks of images whose layers run in random strips."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node, QuantizedGraph
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Padding, Size, extent, same_padding
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.planning.stages import Stage, aligned, make_schedule
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

_KINDS = (
    "conv",
    "conv",
    "pointwise",
    "depthwise",
    "depthwise",
    "max",
    "average",
    "add",
    "add",
    "table",
    "join",
    "scale",
)
_QUICK = Options(adaptive_rounding=False, compensation=False)


def random_strips(seed: int) -> tuple[QuantizedGraph, list[Stage]]:
    """A network of up to eight layers, and stages of it that can run in strips."""
    generator, weights = random.Random(seed), np.random.default_rng(seed)
    nodes = [Node("x", Input((generator.randint(5, 14), generator.choice([1, 3, 4, 7]), generator.choice([4, 8]))))]
    for index in range(generator.randint(2, 8)):
        shapes = infer_shapes(tuple(nodes))
        source = nodes[-1].name if generator.random() < 0.8 else generator.choice(list(shapes))
        alike = [name for name in shapes if shapes[name] == shapes[source]]
        operator, kernel, inputs = _layer(generator, generator.choice(_KINDS), shapes[source], source, alike)
        if min(operator.output_shape(*(shapes[name] for name in inputs))) > 0:
            own = {"kernel": weights.normal(0, 0.4, kernel).astype(np.float32)} if kernel else {}
            nodes.append(Node(f"{operator.name}_{index}", operator, inputs, own))
    read = {source for node in nodes for source in node.inputs}
    outputs = tuple(node.name for node in nodes[1:] if node.name not in read or generator.random() < 0.1)
    graph = Graph(f"strips_{seed}", tuple(nodes), outputs)
    samples = weights.normal(0, 1, (4, *nodes[0].operator.output_shape())).astype(np.float32)
    network = quantize(graph, calibrate(graph, DataSet({"x": samples})), _QUICK)
    return network, _stages(generator, network)


def together(networks: list[tuple[QuantizedGraph, list[Stage]]]) -> tuple[QuantizedGraph, list[Stage]]:
    """Several networks as one, which is compiled once; their nodes are called n0_..., n1_..."""
    nodes, outputs, stages = [], [], []
    for number, (network, own) in enumerate(networks):
        begin = f"n{number}_"
        nodes += [
            replace(node, name=begin + node.name, inputs=tuple(begin + source for source in node.inputs))
            for node in network.nodes
        ]
        outputs += [begin + name for name in network.outputs]
        stages += [replace(stage, first=begin + stage.first, last=begin + stage.last) for stage in own]
    return QuantizedGraph("together", tuple(nodes), tuple(outputs)), stages


def random_inputs(network: QuantizedGraph, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Integers over the whole range of each input's format."""
    generator = np.random.default_rng(seed)
    formats = {name: network.by_name[name].format for name in network.inputs}
    return {
        name: generator.integers(form.low, form.high + 1, (count, *network.shapes[name])).astype(form.dtype)
        for name, form in formats.items()
    }


def _layer(
    generator: random.Random, kind: str, shape: tuple[int, ...], source: str, alike: list[str]
) -> tuple[Operator, tuple[int, ...], tuple[str, ...]]:
    """An operator, the shape of its kernel if it has one, and its inputs."""
    low = generator.choice([0.0, 0.0, -np.inf])
    if kind in ("conv", "depthwise", "pointwise"):
        side = (lambda: 1) if kind == "pointwise" else (lambda: generator.choice([1, 2, 3, 3, 5]))
        size, strides, dilation, padding = _window(generator, shape, Size(side(), side()), dilated=kind == "conv")
        if kind == "depthwise":
            return DepthwiseConv2D(size, 1, strides, padding, dilation, low=low), (*size, shape[2], 1), (source,)
        filters = generator.choice([4, 8, 16])
        return Conv2D(size, filters, strides, padding, dilation, low=low), (*size, shape[2], filters), (source,)
    if kind in ("max", "average"):
        size, strides, _, padding = _window(generator, shape, Size(2, generator.choice([1, 2])), dilated=False)
        padding = Padding(*(min(edge, 1) for edge in padding))
        return (MaxPool2D if kind == "max" else AveragePool2D)(size, strides, padding), (), (source,)
    if kind == "table":
        return Activation("sigmoid"), (), (source,)
    operator = {"add": Add(low=low), "join": Concatenate(-1), "scale": Multiply()}[kind]
    return operator, (), (source, generator.choice(alike))


def _window(
    generator: random.Random, shape: tuple[int, ...], size: Size, dilated: bool
) -> tuple[Size, Size, Size, Padding]:
    dilation = Size(generator.choice([1, 1, 2]), 1) if dilated else Size(1, 1)
    span, image = extent(size, dilation), Size(*shape[:2])
    strides = Size(generator.choice([1, 1, 2, 3]), generator.choice([1, 2]))
    if generator.random() < 0.3 and span.height <= image.height and span.width <= image.width:
        return size, strides, dilation, Padding()
    return size, strides, dilation, same_padding(image, size, strides, dilation)


def _stages(generator: random.Random, network: QuantizedGraph) -> list[Stage]:
    names = [node.name for node in network.nodes]
    stages, begin = [], 1
    for _ in range(40):
        if begin + 1 >= len(names):
            break
        first = generator.randrange(begin, len(names) - 1)
        last = generator.randrange(first + 1, len(names))
        stage = Stage(names[first], names[last], generator.choice([1, 1, 2, 3, 4]), generator.random() < 0.3)
        schedule = make_schedule(network, stage)
        if schedule is not None and aligned(network, schedule):
            stages.append(stage)
            begin = last + 1
    return stages
