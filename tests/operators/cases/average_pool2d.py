"""Means over windows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph.window import Size
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from operators.cases import Cases, Growth, Layer, keras_operation, onnx_node, onnx_nodes, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, TF_IMAGE, indices
from operators.cases._growth import pool
from operators.cases._layers import assert_multipliers, assert_rescaled, centred, lowered
from operators.cases._pools import keras_pools, onnx_pools, onnx_reductions, pool_of
from operators.draws import Window, positions


@st.composite
def layers(draw: Callable) -> Layer:
    """Any windows that see the image."""
    shape, window = pool_of(draw)
    low = draw(st.sampled_from([-np.inf, 0.0]))
    return lowered(draw, AveragePool2D(window.kernel, window.strides, window.padding, low=low), [shape])


def check(layer: Layer, found: np.ndarray) -> None:
    """Sums of the pixels that the window sees, over their count; padding is not counted."""
    operator, (x,), (source,), output = layer.operator, centred(layer), layer.sources, layer.output
    assert isinstance(operator, AveragePool2D)
    total, counts = means(
        Window(Size(*x.shape[1:3]), operator.pool_size, operator.strides, operator.padding, Size(1, 1)), x
    )
    m, shift = np.broadcast_to(layer.constants["multiplier"], counts.shape), int(layer.constants["shift"])
    span = max(abs(source.low), source.high) * int(counts.max())
    assert_multipliers(m, shift, source.step / output.step / counts, 2 * span, 30 if source.bits <= 8 else 61)
    assert_rescaled(layer, found, total * m, shift)


def means(window: Window, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum over each window, and how many pixels of the image it sees."""
    places = list(positions(window))
    total = np.zeros((len(image), places[-1][0] + 1, places[-1][1] + 1, image.shape[3]), image.dtype)
    counts = np.zeros((*total.shape[1:3], 1), np.int64)
    for oy, ox, seen in places:
        for _, _, y, x in seen:
            total[:, oy, ox] += image[:, y, x]
        counts[oy, ox] = len(seen)
    return total, counts


ALONG = (((0,), 1), ((0, 2), 0), ((1, 2), 1), ((-3, 1, 2), 0))
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (pool(draw, AveragePool2D, shape), {}), ranks=(3,), often=2),
    keras=[
        *keras_pools("Average"),
        keras_operation("mean", IMAGE, lambda ops, x: ops.mean(x, axis=(1, 2), keepdims=True)),
        keras_operation("mean of an axis", IMAGE, lambda ops, x: ops.mean(x, axis=1)),
        keras_operation("mean of channels", IMAGE, lambda ops, x: ops.mean(x, axis=-1, keepdims=True)),
        keras_operation("average pool", IMAGE, lambda ops, x: ops.average_pool(x, 2)),
    ],
    tflite=[
        tflite_function("avg_pool2d", TF_IMAGE, lambda tf, x: tf.nn.avg_pool2d(x, (2, 3), (2, 2), "SAME")),
        tflite_function("mean of an image", TF_IMAGE, lambda tf, x: tf.reduce_mean(x, (1, 2))),
        tflite_function("mean of channels", TF_IMAGE, lambda tf, x: tf.reduce_mean(x, 3, keepdims=True)),
    ],
    onnx=[
        *onnx_pools("AveragePool"),
        onnx_node(
            ONNX_IMAGE, "AveragePool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1], count_include_pad=1
        ),
        onnx_node(ONNX_IMAGE, "AveragePool", kernel_shape=[3, 2], pads=[0, 1, 2, 0], count_include_pad=1),
        onnx_node(ONNX_IMAGE, "GlobalAveragePool"),
        onnx_node(ONNX_SEQUENCE, "GlobalAveragePool"),
        onnx_node((2, 3, 8), "GlobalAveragePool", moves=True),
        onnx_node((2, 3, 8), "AveragePool", kernel_shape=[3], strides=[2], moves=True),
        *(onnx_node((3, 4, 5), "ReduceMean", indices(*axes), keepdims=k, moves=True) for axes, k in ALONG),
        onnx_node((3, 4, 5), "ReduceMean", moves=True),
        *onnx_reductions("ReduceMean"),
        onnx_node(ONNX_IMAGE, "ReduceMean", axes=[2, 3], opset=13, moves=True),
        onnx_node((1, 4, 6), "ReduceMean", indices(1), keepdims=0, moves=True),
        *(
            onnx_nodes(f"{kind} of several", ONNX_IMAGE, ["Tanh x -> t", "Neg x -> n", f"{kind} t x n -> y"])
            for kind in ("Sum", "Mean")
        ),
    ],
)
