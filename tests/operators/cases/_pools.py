"""Windows over images that have no weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from operators.cases import KerasCase, Layer, OnnxCase, Shape, keras_layer, onnx_node
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, SEQUENCE, indices
from operators.cases._linear import channels, draw_window
from operators.draws import Window, positions


def pool_of(draw: Callable) -> tuple[Shape, Window]:
    """An image's shape, and a window that always sees it; whole images too."""
    image, kernel, strides, _, padding = draw_window(draw, dilated=False)
    padding = Padding(*(min(p, k - 1) for p, k in zip(padding, np.repeat(kernel, 2).tolist(), strict=True)))
    image = Size(max(image.height, kernel.height), max(image.width, kernel.width))
    if draw(st.integers(0, 3)) == 0:
        kernel, strides, padding = image, image, Padding()
    return (*image, draw(channels)), Window(image, kernel, strides, padding, Size(1, 1))


def assert_selected(layer: Layer, found: np.ndarray, pick: Callable[..., np.ndarray]) -> None:
    """Each output is what ``pick`` (np.max, np.min) takes of the integers that its window sees."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, MaxPool2D)
    assert found.dtype == layer.output.dtype
    window = Window(Size(*q.shape[1:3]), operator.pool_size, operator.strides, operator.padding, Size(1, 1))
    for oy, ox, seen in positions(window):
        wanted = pick([q[:, y, x] for _, _, y, x in seen], axis=0)
        np.testing.assert_array_equal(found[:, oy, ox], wanted)


def keras_pools(kind: str) -> Iterator[KerasCase]:
    """MaxPooling1D and the like, by the first part of their name."""
    for padding in ("same", "valid"):
        for strides in (None, 1, 2):
            yield keras_layer(SEQUENCE, f"{kind}Pooling1D", 3, strides=strides, padding=padding)
        yield keras_layer(IMAGE, f"{kind}Pooling2D", (3, 2), strides=2, padding=padding)
    yield keras_layer(IMAGE, f"Adaptive{kind}Pooling2D", (3, 1))
    yield keras_layer((12, 3), f"Adaptive{kind}Pooling1D", 4)
    for keepdims in (True, False):
        yield keras_layer(SEQUENCE, f"Global{kind}Pooling1D", keepdims=keepdims)
        yield keras_layer(IMAGE, f"Global{kind}Pooling2D", keepdims=keepdims)


def onnx_pools(kind: str) -> Iterator[OnnxCase]:
    """MaxPool or AveragePool, with and without rounding up."""
    for ceil in (0, 1):
        for place in ({}, {"strides": [2, 2]}, {"strides": [2, 3], "pads": [1, 0, 1, 2]}):
            yield onnx_node(ONNX_IMAGE, kind, kernel_shape=[3, 3], ceil_mode=ceil, **place)
    yield onnx_node(ONNX_SEQUENCE, kind, kernel_shape=[3], strides=[2], pads=[1, 1])
    yield onnx_node(ONNX_IMAGE, kind, kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER")


def onnx_reductions(kind: str) -> Iterator[OnnxCase]:
    """ReduceMean and the like over axes that follow each other or not."""
    for axes in ((2, 3), (-1,), (1,), (1, 3), (3, 2, 1)):
        for keepdims in (0, 1)[len(axes) == 3 :]:
            yield onnx_node(ONNX_IMAGE, kind, indices(*axes), keepdims=keepdims, moves=True)
