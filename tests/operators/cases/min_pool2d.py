"""Minima over windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.min_pool2d import MinPool2D
from operators.cases import Cases, Growth, Layer, onnx_node, tflite_function
from operators.cases._frameworks import ONNX_IMAGE, TF_IMAGE
from operators.cases._growth import pool
from operators.cases._layers import lowered
from operators.cases._pools import assert_selected, onnx_reductions, pool_of


@st.composite
def layers(draw: Callable) -> Layer:
    """Any windows that see the image."""
    shape, window = pool_of(draw)
    return lowered(draw, MinPool2D(window.kernel, window.strides, window.padding), [shape])


def check(layer: Layer, found: np.ndarray) -> None:
    """The smallest integer that each window sees."""
    assert_selected(layer, found, np.min)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (pool(draw, MinPool2D, shape), {}), ranks=(3,)),
    tflite=[
        tflite_function("min of an image", TF_IMAGE, lambda tf, x: tf.reduce_min(x, (1, 2), keepdims=True)),
        tflite_function("all of rows and channels", TF_IMAGE, lambda tf, x: tf.reduce_all(x > -1.0, (1, 3))),
        tflite_function("any of channels", TF_IMAGE, lambda tf, x: tf.reduce_any(x > 0.5, 3)),
    ],
    onnx=[
        *onnx_reductions("ReduceMin"),
        onnx_node(ONNX_IMAGE, "ReduceMin", axes=[2], keepdims=0, opset=13, moves=True),
    ],
)
