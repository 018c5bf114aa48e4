"""Which networks are measured? The four of MLPerf Tiny, built here with random weights: shapes decide time and memory.

Trained models can take the place of two of them: see ``network``. A MobileNetV2 is there for its inverted bottlenecks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, Node, QuantizedGraph
from ggdq_mcu.graph.graph import infer_shapes
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Size, same_padding
from ggdq_mcu.importers import load
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.depthwise_conv2d import DepthwiseConv2D
from ggdq_mcu.operators.input import Input
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

_SAMPLES = 8
#: Rounding chosen by error needs minutes and changes neither time nor memory.
QUICK = Options(adaptive_rounding=False, compensation=False)


class Builder:
    """A graph that grows node by node; weights are normal with He's deviation, so that maps keep their size."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        self.name = name
        self.nodes = [Node("input", Input(shape))]
        self.random = np.random.default_rng(1)

    def shape(self, name: str) -> tuple[int, ...]:
        return infer_shapes(tuple(self.nodes))[name]

    def add(self, name: str, operator: Operator, *sources: str, kernel: tuple[int, ...] = (), inputs: int = 1) -> str:
        """Appends a node (source: the last one); ``kernel`` is its weights' shape, ``inputs`` products."""
        weights = {}
        if kernel:
            deviation = math.sqrt(2 / inputs)
            weights["kernel"] = self.random.normal(0, deviation, kernel).astype(np.float32)
            channels = operator.output_shape(self.shape((sources or (self.nodes[-1].name,))[0]))[-1]
            weights["bias"] = self.random.normal(0, 0.1, channels).astype(np.float32)
        self.nodes.append(Node(name, operator, sources or (self.nodes[-1].name,), weights))
        return name

    def conv(self, name: str, filters: int, size: Size, stride: int = 1, source: str = "", relu: bool = True) -> str:
        source = source or self.nodes[-1].name
        height, width, channels = self.shape(source)
        padding = same_padding(Size(height, width), size, Size(stride, stride), Size(1, 1))
        low = 0.0 if relu else -math.inf
        operator = Conv2D(size, filters, Size(stride, stride), padding, low=low)
        products = size.height * size.width * channels
        return self.add(name, operator, source, kernel=(*size, channels, filters), inputs=products)

    def depthwise(self, name: str, stride: int = 1) -> str:
        height, width, channels = self.shape(self.nodes[-1].name)
        size, strides = Size(3, 3), Size(stride, stride)
        operator = DepthwiseConv2D(
            size, 1, strides, same_padding(Size(height, width), size, strides, Size(1, 1)), low=0.0
        )
        return self.add(name, operator, kernel=(3, 3, channels, 1), inputs=9)

    def dense(self, name: str, units: int, relu: bool = False) -> str:
        (inputs,) = self.shape(self.nodes[-1].name)
        operator = Dense(units, low=0.0 if relu else -math.inf)
        return self.add(name, operator, kernel=(inputs, units), inputs=inputs)

    def classifier(self, classes: int) -> None:
        height, width, channels = self.shape(self.nodes[-1].name)
        self.add("pool", AveragePool2D(Size(height, width), Size(height, width)))
        self.add("vector", Reshape((channels,)))
        self.dense("dense", classes)
        self.add("softmax", Softmax())

    def graph(self) -> Graph:
        return Graph(self.name, tuple(self.nodes), (self.nodes[-1].name,))


def ds_cnn() -> Graph:
    """Keyword spotting: 49x10 features, 64 channels, four depthwise separable blocks, 12 classes."""
    net = Builder("ds_cnn", (49, 10, 1))
    net.conv("conv", 64, Size(10, 4), 2)
    for block in range(4):
        net.depthwise(f"depthwise_{block}")
        net.conv(f"pointwise_{block}", 64, Size(1, 1))
    net.classifier(12)
    return net.graph()


def resnet8() -> Graph:
    """Image classification: 32x32x3, three residual stages of 16, 32 and 64 channels, 10 classes."""
    net = Builder("resnet8", (32, 32, 3))
    last = net.conv("conv", 16, Size(3, 3))
    for stage, channels in enumerate((16, 32, 64)):
        stride = 1 if stage == 0 else 2
        net.conv(f"stage{stage}_a", channels, Size(3, 3), stride, last)
        body = net.conv(f"stage{stage}_b", channels, Size(3, 3), relu=False)
        if stride > 1:
            last = net.conv(f"stage{stage}_shortcut", channels, Size(1, 1), stride, last, relu=False)
        last = net.add(f"stage{stage}_add", Add(low=0.0), last, body)
    net.classifier(10)
    return net.graph()


def mobilenet() -> Graph:
    """Visual wake words: MobileNetV1, width 0.25, 96x96x3, 2 classes."""
    net = Builder("mobilenet", (96, 96, 3))
    net.conv("conv", 8, Size(3, 3), 2)
    widths = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)]
    for block, (filters, stride) in enumerate(widths):
        net.depthwise(f"depthwise_{block}", stride)
        net.conv(f"pointwise_{block}", filters, Size(1, 1))
    net.classifier(2)
    return net.graph()


def mobilenet_v2() -> Graph:
    """MobileNetV2, width 0.35, 96x96x3, 2 classes: 1x1 expansion, depthwise 3x3, 1x1 projection, sum."""
    net = Builder("mobilenet_v2", (96, 96, 3))
    last = net.conv("conv", 16, Size(3, 3), 2)
    stages = [(1, 8, 1, 1), (6, 8, 2, 2), (6, 16, 3, 2), (6, 24, 4, 2), (6, 32, 3, 1), (6, 56, 3, 2), (6, 112, 1, 1)]
    blocks = [(t, c, s if i == 0 else 1) for t, c, repeats, s in stages for i in range(repeats)]
    for block, (expansion, channels, stride) in enumerate(blocks):
        source, wide = last, net.shape(last)[2] * expansion
        if expansion > 1:
            net.conv(f"expand_{block}", wide, Size(1, 1))
        net.depthwise(f"depthwise_{block}", stride)
        last = net.conv(f"project_{block}", channels, Size(1, 1), relu=False)
        if net.shape(source) == net.shape(last):
            last = net.add(f"add_{block}", Add(), source, last)
    net.conv("head", 1280, Size(1, 1))
    net.classifier(2)
    return net.graph()


def autoencoder() -> Graph:
    """Anomaly detection: ten dense layers, 640 values in and out."""
    net = Builder("autoencoder", (640,))
    for index, units in enumerate((128, 128, 128, 128, 8, 128, 128, 128, 128)):
        net.dense(f"dense_{index}", units, relu=True)
    net.dense("dense_9", 640)
    return net.graph()


NETWORKS: dict[str, Callable[[], Graph]] = {
    "ds_cnn": ds_cnn,
    "resnet8": resnet8,
    "mobilenet": mobilenet,
    "autoencoder": autoencoder,
}
#: Networks that no peer was measured on.
MORE: dict[str, Callable[[], Graph]] = {"mobilenet_v2": mobilenet_v2}
#: File names of the trained models of two networks, where a folder of models is given.
FILES = {"ds_cnn": "kws_ds_cnn.h5", "resnet8": "resnet8_cifar10.h5"}


def network(name: str, models: Path | None = None, options: Options = QUICK) -> QuantizedGraph:
    """The quantized network; from the model file in the folder ``models`` where it is there, else with random weights.

    Calibration samples are random in either case.
    """
    path = models / FILES[name] if models and name in FILES else None
    return quantized(optimize(load(path, name)) if path and path.is_file() else (NETWORKS | MORE)[name](), options)


def quantized(graph: Graph, options: Options = QUICK) -> QuantizedGraph:
    """A network with one input, calibrated on random samples."""
    (source,) = graph.inputs
    samples = np.random.default_rng(2).normal(0, 1, (_SAMPLES, *graph.shapes[source])).astype(np.float32)
    return quantize(graph, calibrate(graph, DataSet({source: samples})), options)
