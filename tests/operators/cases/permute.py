"""Axes in another order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.permute import Permute
from operators.cases import Cases, Growth, Layer, keras_layer, keras_operation, onnx_node, onnx_nodes, tflite_function
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, TF_IMAGE
from operators.cases._layers import lowered
from operators.cases._linear import channels, small


@st.composite
def layers(draw: Callable) -> Layer:
    """Any order of three axes."""
    return lowered(draw, Permute(tuple(draw(st.permutations([1, 2, 3])))), [(draw(small), draw(small), draw(channels))])


def check(layer: Layer, found: np.ndarray) -> None:
    """Element by element."""
    operator, (q,) = layer.operator, layer.samples
    assert isinstance(operator, Permute)
    for index in np.ndindex(*found.shape[1:]):
        source = dict(zip(operator.order, index, strict=True))
        np.testing.assert_array_equal(found[:, *index], q[:, source[1], source[2], source[3]])


CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(lambda draw, generator, shape: (Permute(tuple(draw(st.permutations(range(1, len(shape) + 1))))), {})),
    keras=[
        keras_layer(IMAGE, "Permute", (3, 1, 2)),
        keras_operation("transpose", IMAGE, lambda ops, x: ops.transpose(x, (0, 3, 1, 2))),
    ],
    tflite=[
        tflite_function("transpose", TF_IMAGE, lambda tf, x: tf.transpose(x, (0, 3, 1, 2))),
        tflite_function(
            "space to batch", TF_IMAGE, lambda tf, x: tf.tanh(tf.space_to_batch(x, [2, 3], [[0, 1], [2, 1]]))
        ),
        tflite_function(
            "batch to space",
            TF_IMAGE,
            lambda tf, x: tf.batch_to_space(
                tf.tanh(tf.space_to_batch(x, [2, 3], [[0, 1], [2, 1]])), [2, 3], [[1, 0], [0, 2]]
            ),
        ),
        tflite_function("space to depth", TF_IMAGE, lambda tf, x: tf.nn.space_to_depth(x[:, :6], 2)),
        tflite_function("depth to space", TF_IMAGE, lambda tf, x: tf.nn.depth_to_space(x, 2)),
    ],
    onnx=[
        *(onnx_node(ONNX_IMAGE, "Transpose", perm=p, moves=True) for p in ((0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2))),
        onnx_node((1, 8, 2, 3), "DepthToSpace", blocksize=2, moves=True),
        onnx_node((1, 2, 4, 6), "SpaceToDepth", blocksize=2, moves=True),
        onnx_node((1, 8, 2, 3), "DepthToSpace", blocksize=2, mode="CRD", moves=True),
        onnx_node((2, 4, 2, 3), "DepthToSpace", blocksize=2, moves=True),
        *(onnx_node((4, 1, 6), "Transpose", perm=p, moves=True) for p in ((1, 0, 2), (2, 1, 0), (0, 2, 1))),
        onnx_node((3, 4, 5), "Transpose", moves=True),
        onnx_nodes(
            "steps first, then the batch",
            (1, 7, 4),
            [("Transpose x -> a", {"perm": [1, 0, 2]}), "Tanh a -> b", ("Transpose b -> y", {"perm": [1, 0, 2]})],
        ),
    ],
)
