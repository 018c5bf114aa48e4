"""Functions of one value."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.operators.activation import FUNCTIONS, Activation
from operators.cases import (
    Cases,
    Growth,
    KerasCase,
    Layer,
    Shape,
    Weights,
    keras_layer,
    keras_operation,
    onnx_node,
    onnx_nodes,
    tflite_function,
)
from operators.cases._frameworks import IMAGE, ONNX_IMAGE, ONNX_VECTOR, TF_ROWS
from operators.cases._layers import lowered
from operators.cases._linear import channels, small
from operators.draws import formats


@st.composite
def layers(draw: Callable) -> Layer:
    """Any function, with a clip above or without."""
    function, high = draw(st.sampled_from(sorted(FUNCTIONS))), draw(st.sampled_from([np.inf, 3.0]))
    slope = draw(st.sampled_from([0.0, 0.125])) if function == "thresholded_relu" else 0.0
    output = draw(st.one_of(st.none(), formats()))
    shape = (draw(small), draw(small), draw(channels))
    return lowered(draw, Activation(function, 0.5, slope, high=high), [shape], output=output)


def check(layer: Layer, found: np.ndarray) -> None:
    """The rounded function; of 16 bits the rounded function at every 128th integer, and straight lines between them."""
    (q,), (source,), output, operator = layer.samples, layer.sources, layer.output, layer.operator
    assert found.dtype == output.dtype

    def at(points: np.ndarray) -> np.ndarray:
        return output.quantize(operator.compute([source.dequantize(points)], {})).astype(np.int64)

    if source.bits == 8:
        np.testing.assert_array_equal(found, at(q))
        return
    place = q.astype(np.int64) + 32768
    first, second = at(place // 128 * 128 - 32768), at(place // 128 * 128 + 128 - 32768)
    np.testing.assert_array_equal(found, first + ((second - first) * (place % 128) + 64) // 128)


def grown(draw: Callable, generator: np.random.Generator, shape: Shape) -> tuple[Activation, Weights]:
    """Any function that does not grow without end."""
    function = draw(st.sampled_from(sorted(set(FUNCTIONS) - {"exponential"})))
    return Activation(function, 0.25, 0.125 if function == "thresholded_relu" and draw(st.booleans()) else 0.0), {}


#: Arguments of keras.activations.relu.
RELU: tuple[dict[str, float], ...] = (
    {},
    {"negative_slope": 0.1},
    {"threshold": 0.5, "max_value": 2.0},
    {"threshold": -0.5},
    {"negative_slope": 0.25, "threshold": 0.5},
    {"negative_slope": 0.25, "threshold": 0.5, "max_value": 2.0},
)


def relu(options: dict[str, float]) -> KerasCase:
    """keras.activations.relu with arguments."""

    def make(keras: Any, x: Any) -> Any:
        return keras.activations.relu(x, **options)

    return KerasCase(f"activations.relu {options}", (IMAGE,), make, followed=False)


OPERATIONS = (
    "relu", "relu6", "sigmoid", "tanh", "silu", "hard_silu", "hard_sigmoid", "hard_tanh", "leaky_relu", "elu", "selu",
    "gelu", "softplus", "softsign", "log_sigmoid", "exp",
)  # fmt: skip
ONNX = (
    "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Erf", "Abs", "Neg", "HardSwish", "Mish", "Elu", "Selu", "Celu",
    "HardSigmoid", "LeakyRelu", "ThresholdedRelu", "Asinh", "Atan", "Ceil", "Cos", "Floor", "Round", "Sign", "Sin",
)  # fmt: skip
CASES = Cases(
    layers=layers(),
    check=check,
    growth=Growth(grown),
    keras=[
        keras_layer(IMAGE, "ReLU", negative_slope=0.25, threshold=0.5),
        keras_layer(IMAGE, "ReLU", 2.0, 0.25, 0.5),
        keras_layer(IMAGE, "ReLU", 0.25, 0.25, 0.5),
        keras_layer(IMAGE, "LeakyReLU", 0.2),
        keras_layer(IMAGE, "ELU", 0.7),
        *(
            keras_operation(name, IMAGE, partial(lambda name, ops, x: getattr(ops, name)(x), name))
            for name in OPERATIONS
        ),
        keras_operation("exact gelu", IMAGE, lambda ops, x: ops.gelu(x, approximate=False)),
        keras_operation("leaky relu of a slope", IMAGE, lambda ops, x: ops.leaky_relu(x, negative_slope=0.1)),
        *map(relu, RELU),
    ],
    tflite=[
        tflite_function("tanh", TF_ROWS, lambda tf, x: tf.tanh(x)),
        tflite_function("sigmoid", TF_ROWS, lambda tf, x: tf.sigmoid(x)),
        tflite_function("elu", TF_ROWS, lambda tf, x: tf.nn.elu(x)),
        tflite_function("exp", TF_ROWS, lambda tf, x: tf.exp(x)),
        tflite_function("leaky_relu", TF_ROWS, lambda tf, x: tf.nn.leaky_relu(x, 0.3)),
        tflite_function("hard_swish", TF_ROWS, lambda tf, x: x * tf.nn.relu6(x + 3.0) * (1 / 6)),
    ],
    onnx=[
        onnx_nodes("Cast to integers", (3, 4), [("Cast x -> i", {"to": 7}), ("Cast i -> y", {"to": 1})]),
        onnx_nodes("Cast to truth values", (3, 4), [("Cast x -> i", {"to": 9}), ("Cast i -> y", {"to": 1})]),
        *(onnx_node(ONNX_IMAGE, kind) for kind in ONNX),
        onnx_node(ONNX_IMAGE, "Elu", alpha=0.5),
        onnx_node(ONNX_IMAGE, "LeakyRelu", alpha=0.3),
        onnx_node(ONNX_IMAGE, "HardSigmoid", alpha=1 / 6, beta=0.5),
        onnx_node(ONNX_VECTOR, "ThresholdedRelu", alpha=0.25),
        onnx_node(ONNX_IMAGE, "Gelu", opset=20),
        onnx_node(ONNX_IMAGE, "Gelu", approximate="tanh", opset=20),
        onnx_node(ONNX_IMAGE, "Swish", opset=24),
        onnx_nodes("Sqrt", ONNX_IMAGE, ["Abs x -> a", "Sqrt a -> y"]),
        onnx_nodes("Log", ONNX_IMAGE, ["Exp x -> a", "Log a -> y"]),
        onnx_nodes("Reciprocal", ONNX_IMAGE, ["Exp x -> a", "Reciprocal a -> y"]),
    ],
)
