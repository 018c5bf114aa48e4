"""A quantized TFLite file by hand: every operator whose arithmetic can be kept, on random scales and integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from importers.tflite_files import FileTensor, Op, constant, write

IMAGE = (1, 6, 5, 4)
STRIDES = {"StrideH": 1, "StrideW": 1}


class _Maker:
    """Collects tensors and operators; every operator's outputs are the network's."""

    def __init__(self, dtype: str, seed: int) -> None:
        self.dtype, self.random = dtype, np.random.default_rng(seed)
        self.tensors: list[FileTensor] = []
        self.operators: list[Op] = []
        self.limits = np.iinfo(dtype)

    def tensor(self, shape: tuple[int, ...], scale: float | None = None, zero: int | None = None, **others: Any) -> int:
        scale = float(2.0 ** self.random.uniform(-8, 2)) if scale is None else scale
        zero = int(self.random.integers(self.limits.min, self.limits.max + 1)) if zero is None else zero
        self.tensors.append(FileTensor(shape, self.dtype, scales=[scale], zero_points=[zero], **others))
        return len(self.tensors) - 1

    def like(self, index: int, shape: tuple[int, ...]) -> int:
        one = self.tensors[index]
        return self.tensor(shape, one.scales[0], one.zero_points[0])

    def integers(self, *values: Any) -> int:
        self.tensors.append(constant(values[0] if len(values) == 1 else values, "int32"))
        return len(self.tensors) - 1

    def values(self, shape: tuple[int, ...]) -> int:
        index = self.tensor(shape)
        values = self.random.integers(self.limits.min, self.limits.max + 1, shape).astype(self.dtype)
        one = self.tensors[index]
        self.tensors[index] = constant(values, self.dtype, scales=one.scales, zero_points=one.zero_points)
        return index

    def weights(self, x: int, shape: tuple[int, ...], axis: int, by_channel: bool = True) -> tuple[int, int]:
        """Filters and a bias: int8 with a scale for each channel, or 8 bits of the file's type with one scale."""
        channels = shape[axis]
        by_channel = by_channel and self.dtype == "int8"
        scales = (2.0 ** self.random.uniform(-9, -5, channels if by_channel else 1)).astype(np.float32)
        points = [0] * len(scales) if self.dtype == "int8" else [int(self.random.integers(0, 256))]
        values = self.random.integers(max(self.limits.min, -127), self.limits.max + 1, shape)
        self.tensors.append(constant(values, self.dtype, scales=scales, zero_points=points, axis=axis))
        products = (np.float32(self.tensors[x].scales[0]) * scales).astype(np.float32)
        biases = self.random.integers(-20000, 20000, channels)
        self.tensors.append(constant(biases, "int32", scales=products, zero_points=[0] * len(scales)))
        return len(self.tensors) - 2, len(self.tensors) - 1

    def sums(self, x: int, filters: int, shape: tuple[int, ...]) -> int:
        """A tensor with a step that fits sums of products of an input and filters."""
        one = self.tensors[filters]
        terms = one.values.size / len(one.values) if one.axis == 0 else one.values.size / shape[-1]
        scale = self.tensors[x].scales[0] * float(np.mean(one.scales)) * 73 * 73 / 50 * terms**0.5
        return self.tensor(shape, scale)

    def linear(self, kind: str, x: int, filters: tuple[int, int], shape: tuple[int, ...], **options: Any) -> int:
        """A linear operator."""
        return self.add(kind, (x, *filters), self.sums(x, filters[0], shape), **options)

    def add(self, kind: str, inputs: Sequence[int], outputs: int | Sequence[int], **options: Any) -> int:
        reduces = kind.startswith("REDUCE_") or kind in ("MEAN", "SUM")
        table = {"SPLIT": "SplitOptions", "RESIZE_NEAREST_NEIGHBOR": "ResizeNearestNeighborOptions"}.get(kind, "")
        table = "ReducerOptions" if reduces else "BatchMatMulOptions" if kind == "BATCH_MATMUL" else table
        words = kind.replace("CONV_2D", "CONV_2_D").replace("POOL_2D", "POOL_2_D").replace("MAXIMUM", "MAXIMUM_MINIMUM")
        named = "".join(word.capitalize() for word in words.split("_")).replace("AveragePool2D", "Pool2D")
        own = {"MAX_POOL_2D": "Pool2D", "LEAKY_RELU": "LeakyRelu", "TRANSPOSE_CONV": "TransposeConv"}
        named = own.get(kind, named) + "Options"
        table = table or (named if options else "")
        outputs = [outputs] if isinstance(outputs, int) else list(outputs)
        self.operators.append(Op(kind, inputs, outputs, table, options))
        return outputs[0]


def quantized_file(path: Path, dtype: str = "int8", seed: int = 0) -> Path:
    """The file; its inputs are two images of shape IMAGE."""
    m = _Maker(dtype, seed)
    x, y = m.tensor(IMAGE), m.tensor(IMAGE)
    activation = int(m.random.choice([0, 1, 2, 3]))
    _linear(m, x, activation)
    _operands(m, x, y, activation)
    _moves(m, x)
    _truths(m, x, y)
    _functions(m, x)
    _with_constants(m, x, activation)
    outputs = [index for one in m.operators for index in one.outputs]
    return write(path, m.tensors, m.operators, [x, y], outputs)


def _linear(m: _Maker, x: int, activation: int) -> None:
    fused = {"FusedActivationFunction": activation}
    m.linear("CONV_2D", x, m.weights(x, (3, 3, 2, 4), 0), (1, 6, 5, 3), **STRIDES, **fused)
    two = {"StrideH": 2, "StrideW": 1, "DilationHFactor": 1, "DilationWFactor": 2, "Padding": 1}
    m.linear("CONV_2D", x, m.weights(x, (5, 2, 2, 4), 0, False), (1, 3, 3, 5), **two)
    deep = {**STRIDES, "DepthMultiplier": 2}
    m.linear("DEPTHWISE_CONV_2D", x, m.weights(x, (1, 3, 3, 8), 3), (1, 6, 5, 8), **deep, **fused)
    flat = m.add("RESHAPE", (x, m.integers(1, 120)), m.like(x, (1, 120)))
    options = {"FusedActivationFunction": activation, "KeepNumDims": False}
    m.linear("FULLY_CONNECTED", flat, m.weights(x, (70, 120), 0), (1, 70), **options)
    m.linear("FULLY_CONNECTED", flat, m.weights(x, (40, 120), 0, False), (1, 40), **options)


def _operands(m: _Maker, x: int, y: int, activation: int) -> None:
    fused = {"FusedActivationFunction": activation}
    largest = max(m.tensors[x].scales[0], m.tensors[y].scales[0])

    def sums() -> int:
        return m.tensor(IMAGE, float(largest * m.random.uniform(0.5, 2)))

    m.add("ADD", (x, y), sums(), **fused)
    m.add("SUB", (x, y), sums(), **fused)
    m.add("MUL", (x, y), m.tensor(IMAGE, float(m.tensors[x].scales[0] * m.tensors[y].scales[0] * 90)), **fused)
    row = m.add("MEAN", (y, m.integers(1, 2)), m.tensor((1, 1, 1, 4), m.tensors[y].scales[0] * 0.6), KeepDims=True)
    m.add("MUL", (x, row), m.tensor(IMAGE, float(m.tensors[x].scales[0] * m.tensors[row].scales[0] * 60)), **fused)
    m.add("MEAN", (x, m.integers([3])), m.tensor((1, 6, 5), m.tensors[x].scales[0] * 1.3), KeepDims=False)
    for kind in ("ADD", "SUB", "MUL"):
        numbers = m.values((4,))
        scales = m.tensors[x].scales[0], m.tensors[numbers].scales[0]
        scale = scales[0] * scales[1] * 100 if kind == "MUL" else max(scales) * 1.1
        m.add(
            kind,
            (x, numbers) if kind == "MUL" else (numbers, x),
            m.tensor(IMAGE, float(scale)),
            FusedActivationFunction=0,
        )


def _moves(m: _Maker, x: int) -> None:
    window = {"FilterHeight": 3, "FilterWidth": 2, "StrideH": 2, "StrideW": 2}
    m.add("AVERAGE_POOL_2D", [x], m.like(x, (1, 3, 3, 4)), **window, FusedActivationFunction=1)
    m.add("MAX_POOL_2D", [x], m.like(x, (1, 3, 3, 4)), **window, FusedActivationFunction=3)
    m.add("PAD", (x, m.integers([[0, 0], [1, 0], [2, 1], [0, 0]])), m.like(x, (1, 7, 8, 4)))
    turned = m.add("TRANSPOSE", (x, m.integers(0, 2, 1, 3)), m.like(x, (1, 5, 6, 4)))
    m.add("CONCATENATION", (turned, turned), m.like(x, (1, 5, 12, 4)), Axis=2, FusedActivationFunction=0)
    parts = m.like(x, (1, 6, 5, 2)), m.like(x, (1, 6, 5, 2))
    m.add("SPLIT", (m.integers(3), x), parts, NumSplits=2)
    m.add("MAXIMUM", parts, m.like(x, (1, 6, 5, 2)))
    m.add("RESIZE_NEAREST_NEIGHBOR", (x, m.integers(12, 10)), m.like(x, (1, 12, 10, 4)), HalfPixelCenters=True)

    m.add("RESIZE_NEAREST_NEIGHBOR", (x, m.integers(9, 4)), m.like(x, (1, 9, 4, 4)), AlignCorners=True)
    m.add("GATHER", (x, m.integers(4, 0, 0)), m.like(x, (1, 6, 3, 4)), Axis=2)
    m.add("REVERSE_V2", (x, m.integers([2])), m.like(x, IMAGE))
    m.add("MIRROR_PAD", (x, m.integers([[0, 0], [2, 1], [0, 3], [0, 0]])), m.like(x, (1, 9, 8, 4)), Mode=1)
    m.add("REDUCE_MIN", (x, m.integers(1, 3)), m.like(x, (1, 5)), KeepDims=False)
    m.add("REDUCE_MAX", (x, m.integers([2])), m.like(x, (1, 6, 1, 4)), KeepDims=True)
    m.tensors.append(FileTensor((1, 6, 5), "int32"))
    place = len(m.tensors) - 1
    m.add("ARG_MIN", (x, m.integers([3])), place, OutputType=2)
    padded = m.values(())
    one = m.tensors[x]
    m.tensors[padded] = replace(m.tensors[padded], scales=one.scales, zero_points=one.zero_points)
    m.add("PADV2", (x, m.integers([[0, 0], [1, 0], [0, 1], [0, 0]]), padded), m.like(x, (1, 7, 6, 4)))
    # Without padding: TensorFlow Lite Micro pads with a number that it never sets.
    blocks, none = m.integers(2, 5), m.integers([[0, 0], [0, 0]])
    batches = m.add("SPACE_TO_BATCH_ND", (x, blocks, none), m.like(x, (10, 3, 1, 4)))
    m.add("BATCH_TO_SPACE_ND", (batches, blocks, m.integers([[0, 1], [2, 0]])), m.like(x, (1, 5, 3, 4)))
    if m.dtype == "int8":  # the desktop's kernels of uint8 compute with real numbers, or are missing
        m.add("RESIZE_BILINEAR", (x, m.integers(9, 4)), m.like(x, (1, 9, 4, 4)), HalfPixelCenters=True)
        m.add("RESIZE_BILINEAR", (x, m.integers(4, 11)), m.like(x, (1, 4, 11, 4)), AlignCorners=True)


def _truths(m: _Maker, x: int, y: int) -> None:
    """Comparisons of scales below 1, what is made of their results, and operators on two tensors of int8 alone."""

    def truths(shape: tuple[int, ...] = IMAGE) -> int:
        m.tensors.append(FileTensor(shape, "bool"))
        return len(m.tensors) - 1

    first, second = (m.add("QUANTIZE", [z], m.tensor(IMAGE, float(m.random.uniform(0.01, 0.9)))) for z in (x, y))
    known = [
        m.add(kind, (first, second), truths())
        for kind in ("EQUAL", "NOT_EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL")
    ]
    numbers = m.values((4,))
    m.tensors[numbers] = replace(m.tensors[numbers], scales=[float(m.random.uniform(0.01, 0.9))])
    m.add("GREATER", (first, numbers), truths())
    both = m.add("LOGICAL_AND", known[1:3], truths())
    m.add("LOGICAL_OR", known[2:4], truths())
    m.add("LOGICAL_NOT", known[4:5], truths())
    m.add("REDUCE_ALL", (known[1], m.integers([3])), truths((1, 6, 5)), KeepDims=False)
    m.add("REDUCE_ANY", (both, m.integers(1, 2)), truths((1, 1, 1, 4)), KeepDims=True)
    m.add("SELECT_V2", (both, x, m.add("REVERSE_V2", (x, m.integers([1])), m.like(x, IMAGE))), m.like(x, IMAGE))
    if m.dtype == "int8":
        scale = max(m.tensors[x].scales[0], m.tensors[y].scales[0]) ** 2
        m.add("SQUARED_DIFFERENCE", (x, y), m.tensor(IMAGE, float(scale * m.random.uniform(50, 200))))
        product = m.tensors[x].scales[0] * m.tensors[y].scales[0]
        m.add("BATCH_MATMUL", (x, y), m.tensor((1, 6, 5, 5), float(product * 150)), AdjY=True)


def micro_file(path: Path, dtype: str = "int8", seed: int = 0) -> Path:
    """Operators whose reference kernels for desktops compute something else, or are missing."""
    m = _Maker(dtype, seed)
    x = m.tensor(IMAGE)
    scale = m.tensors[x].scales[0]
    m.add("SUM", (x, m.integers(1, 2)), m.tensor((1, 4), float(scale * m.random.uniform(1, 9))), KeepDims=False)
    m.add("SUM", (x, m.integers([3])), m.tensor((1, 6, 5, 1), float(scale * m.random.uniform(1, 3))), KeepDims=True)
    outputs = [index for one in m.operators for index in one.outputs]
    return write(path, m.tensors, m.operators, [x], outputs)


def _functions(m: _Maker, x: int) -> None:
    for kind in ("RELU", "RELU6", "QUANTIZE"):
        m.add(kind, [x], m.tensor(IMAGE, float(m.tensors[x].scales[0] * m.random.uniform(0.5, 2))))
    m.add("LEAKY_RELU", [x], m.tensor(IMAGE, float(m.tensors[x].scales[0] * m.random.uniform(0.5, 2))), Alpha=0.3)
    probability = {"scale": 1 / 256, "zero": m.limits.min}
    m.add("LOGISTIC", [x], m.tensor(IMAGE, **probability))
    m.add("TANH", [x], m.tensor(IMAGE, 1 / 128, m.limits.min + 128))
    m.add("SOFTMAX", [x], m.tensor(IMAGE, **probability), Beta=1.0)
    for kind in ("HARD_SWISH", "GELU", *(["EXP"] if m.dtype == "int8" else [])):  # the interpreter has no other EXP
        m.add(kind, [x], m.tensor(IMAGE, float(m.tensors[x].scales[0] * m.random.uniform(0.1, 2))))
    m.add("GELU", [x], m.tensor(IMAGE, m.tensors[x].scales[0]), Approximate=True)


def _with_constants(m: _Maker, x: int, activation: int) -> None:
    for padding, size in ((0, (12, 5)), (1, (13, 7))):
        geometry = {"StrideH": 2, "StrideW": 1, "Padding": padding, "FusedActivationFunction": activation}
        filters, bias = m.weights(x, (3, 3, 3, 4), 0, padding == 0)
        shape = (1, *size, 3)
        out = m.sums(x, filters, shape)
        m.add("TRANSPOSE_CONV", (m.integers(*shape), filters, x, bias), out, **geometry)
    for shape in ((4,), (6, 5, 1)):
        slopes = m.values(shape)
        scale = m.tensors[x].scales[0] * max(1.0, m.tensors[slopes].scales[0] * 100)
        m.add("PRELU", (x, slopes), m.tensor(IMAGE, float(scale)))


def wide_files(path: Path) -> Iterator[tuple[str, Path]]:
    """Files of one operator each on 16-bit integers, with 8-bit weights and 64-bit biases; kinds and paths."""
    random = np.random.default_rng(5)

    def tensor(shape: tuple[int, ...], scale: float, dtype: str = "int16") -> FileTensor:
        return FileTensor(shape, dtype, scales=[scale], zero_points=[0])

    def weights(shape: tuple[int, ...], axis: int) -> list[FileTensor]:
        scales = (2.0 ** random.uniform(-9, -6, shape[axis])).astype(np.float32)
        values = random.integers(-127, 128, shape)
        biases = constant(random.integers(-(2**34), 2**34, shape[axis]), "int64", scales=scales * 0.001)
        return [constant(values, "int8", scales=scales, axis=axis), biases]

    image, small = tensor((1, 5, 4, 3), 0.001), tensor((1, 5, 4, 3), 0.0021)
    one = {"StrideH": 1, "StrideW": 1}
    cases: list[tuple[str, list[FileTensor], list[int], str, dict[str, Any]]] = [
        ("CONV_2D", [image, *weights((4, 3, 2, 3), 0), tensor((1, 5, 4, 4), 0.003)], [0, 1, 2], "Conv2DOptions", one),
        ("DEPTHWISE_CONV_2D", [image, *weights((1, 3, 3, 3), 3), tensor((1, 5, 4, 3), 0.003)], [0, 1, 2],
         "DepthwiseConv2DOptions", {**one, "DepthMultiplier": 1}),
        ("FULLY_CONNECTED", [tensor((1, 7), 0.001), *weights((4, 7), 0)[:1], constant([5] * 4, "int64", scales=[0.001]),
         tensor((1, 4), 0.0004)], [0, 1, 2], "FullyConnectedOptions", {}),
        ("ADD", [image, small, tensor((1, 5, 4, 3), 0.0022)], [0, 1], "AddOptions", {}),
        ("SUB", [image, small, tensor((1, 5, 4, 3), 0.0024)], [0, 1], "SubOptions", {}),
        ("MUL", [image, small, tensor((1, 5, 4, 3), 0.05)], [0, 1], "MulOptions", {}),
        ("LEAKY_RELU", [image, tensor((1, 5, 4, 3), 0.0009)], [0], "LeakyReluOptions", {"Alpha": 0.3}),
        ("QUANTIZE", [image, tensor((1, 5, 4, 3), 1.5e-7, "int32")], [0], "", {}),
        ("QUANTIZE", [image, tensor((1, 5, 4, 3), 0.2, "int8")], [0], "", {}),
    ]  # fmt: skip
    for kind, tensors, inputs, table, options in cases:
        given = [index for index in inputs if tensors[index].values is None]
        last = len(tensors) - 1
        yield kind, write(path, tensors, [Op(kind, inputs, [last], table, options)], given, [last])
