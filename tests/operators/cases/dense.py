"""Dense layers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.dense import Dense
from operators.cases import Cases, Growth, Layer, Shape, Weights, keras_layer, onnx_node, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_VECTOR, SEQUENCE, TF_ROWS, VECTOR, random
from operators.cases._growth import clip
from operators.cases._linear import check_linear, clips, linear_layer, linear_weights


@st.composite
def layers(draw: Callable) -> Layer:
    """One vector or several."""
    depth = draw(st.one_of(st.integers(1, 70), st.sampled_from([16, 32, 64])))
    shape = (*draw(st.sampled_from([(), (), (3,), (2, 2)])), depth)
    units, (low, high) = draw(st.integers(1, 9)), draw(clips)
    return linear_layer(draw, Dense(units, low=low, high=high), shape, (depth, units), units)


def check(layer: Layer, found: np.ndarray) -> None:
    """Each output is the sum of the products of the last axis with its column."""
    depth, units = layer.constants["kernel"].shape
    check_linear(layer, found, sums, (np.arange(depth)[:, None], np.arange(units)))


def sums(image: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Column by column."""
    return np.stack([(image * kernel[:, unit]).sum(axis=-1) for unit in range(kernel.shape[1])], axis=-1)


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Dense, Weights]:
    """Up to 10 units."""
    units = draw(st.sampled_from([1, 3, 4, 10]))
    return Dense(units, **clip(draw)), linear_weights(generator, (shape[-1], units), units, draw(st.booleans()))


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown, often=2),
    keras=[
        keras_layer(VECTOR, "Dense", 4, activation="relu"),
        keras_layer(SEQUENCE, "Dense", 4, use_bias=False),
        keras_layer(IMAGE, "Dense", 2, activation="softmax"),
    ],
    tflite=[
        tflite_function("matmul", TF_ROWS, lambda tf, x: tf.nn.relu(tf.matmul(tf.reshape(x, (1, 20)), random(20, 7)))),
        tflite_function("tensordot", TF_ROWS, lambda tf, x: tf.tensordot(x, random(4, 3), 1) + random(3)),
    ],
    onnx=[
        onnx_node(ONNX_VECTOR, "Gemm", random(7, 4), random(4)),
        onnx_node(ONNX_VECTOR, "Gemm", random(4, 7), random(1, 4), transB=1, alpha=0.5, beta=2.0),
        onnx_node(ONNX_VECTOR, "Gemm", random(7, 4)),
        onnx_node(ONNX_VECTOR, "MatMul", random(7, 4), moves=True),
        onnx_node((1, 6, 7), "MatMul", random(7, 4), moves=True),
        onnx_node(ONNX_IMAGE, "MatMul", random(5, 4), moves=True),
        onnx_node((6, 7), "Gemm", random(7, 4), random(6, 4), alpha=0.5, beta=2.0),
        onnx_node((7, 6), "Gemm", random(7, 4), random(1), transA=1, moves=True),
        onnx_node((2, 6, 7), "MatMul", random(7)),
        onnx_node((7,), "MatMul", random(7, 4)),
    ],
)
