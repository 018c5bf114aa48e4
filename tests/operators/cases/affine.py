"""A factor and an offset for each channel, which fold into what is before or behind them."""

from __future__ import annotations

import numpy as np

from operators.cases import Cases, keras_layer, keras_operation, tflite_function
from operators.cases._elementwise import onnx_pairs
from operators.cases._frameworks import IMAGE, TF_IMAGE, random

ROW = random(4, low=0.5)
CASES = Cases(
    keras=[
        keras_layer(IMAGE, "Rescaling", 1 / 127.5, -1),
        keras_layer(IMAGE, "Rescaling", [1.0, 2.0, 3.0], [0.5, 0.1, 0.2]),
        *(
            keras_layer(IMAGE, "Normalization", mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0], **options)
            for options in ({}, {"invert": True})
        ),
        keras_layer(IMAGE, "Normalization", axis=None, mean=2.0, variance=3.0),
        keras_operation("hard sigmoid of MobileNetV3", IMAGE, lambda ops, x: ops.relu6(x + 3.0) * (1 / 6)),
        keras_operation("from a number", IMAGE, lambda ops, x: 1 - x),
        keras_operation("difference", IMAGE, lambda ops, x: x - ops.relu6(x)),
        keras_operation("quotient", IMAGE, lambda ops, x: x / 4.0),
        keras_operation("negative", IMAGE, lambda ops, x: -x),
        keras_operation("by channel", IMAGE, lambda ops, x: x * np.float32([1, 2, 3]) + np.float32([3, 2, 1])),
    ],
    tflite=[
        tflite_function("quotient", TF_IMAGE, lambda tf, x: x / ROW),
        tflite_function("negative", TF_IMAGE, lambda tf, x: -x),
    ],
    onnx=[*onnx_pairs("Div")],
)
