"""Batch normalization, which folds into what is before or behind it."""

from __future__ import annotations

from operators.cases import Cases, keras_layer, onnx_node
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_SEQUENCE, ONNX_VECTOR, VECTOR, random

CASES = Cases(
    keras=[
        keras_layer(IMAGE, "BatchNormalization"),
        keras_layer(IMAGE, "BatchNormalization", scale=False),
        keras_layer(VECTOR, "BatchNormalization", center=False, epsilon=0.1),
    ],
    onnx=[
        onnx_node(
            shape,
            "BatchNormalization",
            *(random(shape[1]) for _ in range(3)),
            random(shape[1], low=0.3, high=2.0),
            epsilon=1e-3,
        )
        for shape in (ONNX_IMAGE, ONNX_SEQUENCE, ONNX_VECTOR)
    ],
)
