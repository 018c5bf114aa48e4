"""Maxima over windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.max_pool2d import MaxPool2D
from operators.cases import Cases, Growth, Layer, keras_operation, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, TF_IMAGE
from operators.cases._growth import pool
from operators.cases._layers import lowered
from operators.cases._pools import assert_selected, keras_pools, onnx_pools, onnx_reductions, pool_of


@st.composite
def layers(draw: Callable) -> Layer:
    """Any windows that see the image."""
    shape, window = pool_of(draw)
    return lowered(draw, MaxPool2D(window.kernel, window.strides, window.padding), [shape])


def check(layer: Layer, found: np.ndarray) -> None:
    """The largest integer that each window sees."""
    assert_selected(layer, found, np.max)


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (pool(draw, MaxPool2D, shape), {}), ranks=(3,), often=2),
    keras=[
        *keras_pools("Max"),
        keras_operation("max of channels", IMAGE, lambda ops, x: ops.max(x, axis=-1, keepdims=True)),
        keras_operation("max", IMAGE, lambda ops, x: ops.max(x, axis=[1, 2])),
        keras_operation("max pool", IMAGE, lambda ops, x: ops.max_pool(x, 2, strides=1, padding="same")),
    ],
    tflite=[
        tflite_function("max_pool2d", TF_IMAGE, lambda tf, x: tf.nn.max_pool2d(x, 3, 2, "SAME")),
        tflite_function("max of an image", TF_IMAGE, lambda tf, x: tf.reduce_max(x, (1, 2), keepdims=True)),
    ],
    onnx=[
        *onnx_pools("MaxPool"),
        onnx_node(ONNX_IMAGE, "GlobalMaxPool"),
        *onnx_reductions("ReduceMax"),
        onnx_node(ONNX_IMAGE, "ReduceMax", axes=[2], keepdims=0, opset=13, moves=True),
    ],
)
