"""Every layer and operation that can be imported, with each of its options, computes what Keras computes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras_networks import assert_layers_agree, randomize, samples

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
IMAGE, SEQUENCE = (6, 5, 3), (11, 3)


def check(keras: ModuleType, folder: Path, model: Any) -> None:
    """Every layer of the graph agrees with Keras, the file with the live model, and the passes with the graph."""
    graph = load(model)
    assert_layers_agree(keras, model, graph)
    x = [samples(graph.shapes[name]) for name in graph.inputs]
    wanted = [np.asarray(y) for y in keras.tree.flatten(model(x if len(x) > 1 else x[0], training=False))]
    model.save(folder / "model.keras")
    assert load(folder / "model.keras", graph.name) == graph
    for one in (graph, optimize(graph)):
        found = list(one.run(dict(zip(graph.inputs, x, strict=True))).values())
        for a, b in zip(wanted, found, strict=True):
            np.testing.assert_allclose(b, a, rtol=0, atol=1e-5 * max(1.0, np.abs(a).max()))


def layer_cases() -> dict[str, tuple[tuple[int, ...], Callable[[Any], list[Any]]]]:
    """Input shape, and the layers (given keras.layers), by name."""
    cases: dict[str, tuple[tuple[int, ...], Callable[[Any], list[Any]]]] = {}

    def add(shape: tuple[int, ...], kind: str, *arguments: Any, **options: Any) -> None:
        text = ", ".join([*map(str, arguments), *(f"{key}={value}" for key, value in options.items())])
        cases[f"{kind} {text}"] = (shape, lambda layers: [getattr(layers, kind)(*arguments, **options)])

    for padding in ("same", "valid"):
        for strides, dilation in ((1, 1), (2, 1), (1, 2), (3, 1)):
            steps = {"strides": strides, "dilation_rate": dilation, "padding": padding}
            add(SEQUENCE, "Conv1D", 6, 3, groups=3, activation="tanh", **steps)
            add(SEQUENCE, "SeparableConv1D", 4, 3, activation="relu", **steps)
        add(SEQUENCE, "DepthwiseConv1D", 3, strides=2, depth_multiplier=2, padding=padding)
        for strides in (None, 1, 2):
            add(SEQUENCE, "MaxPooling1D", 3, strides=strides, padding=padding)
            add(SEQUENCE, "AveragePooling1D", 3, strides=strides, padding=padding)
        for kernel, strides in ((3, 2), (2, 2), (3, 1), (1, 2), (5, 3), (2, 3), ((3, 2), (2, 1))):
            add(IMAGE, "Conv2DTranspose", 4, kernel, strides=strides, padding=padding, activation="softmax")
        add(SEQUENCE, "Conv1DTranspose", 4, 3, strides=2, padding=padding, activation="relu", use_bias=False)
    for strides, dilation in ((1, 1), (2, 1), (1, 3)):
        add(SEQUENCE, "Conv1D", 2, 3, strides=strides, dilation_rate=dilation, padding="causal")
    for keepdims in (True, False):
        add(SEQUENCE, "GlobalMaxPooling1D", keepdims=keepdims)
        add(SEQUENCE, "GlobalAveragePooling1D", keepdims=keepdims)
    for edges in ((1, 3), 2):
        add(SEQUENCE, "ZeroPadding1D", edges)
        add(SEQUENCE, "Cropping1D", edges)
    add(SEQUENCE, "UpSampling1D", 3)
    add(SEQUENCE, "SpatialDropout1D", 0.5)
    for size in ((2, 2), (3, 1), (2, 4), (1, 5)):
        add(IMAGE, "UpSampling2D", size, interpolation="nearest")
        add(IMAGE, "UpSampling2D", size, interpolation="bilinear")
    add(IMAGE, "Cropping2D", ((1, 0), (2, 1)))
    add(IMAGE, "Permute", (3, 1, 2))
    add((5,), "RepeatVector", 4)
    add(IMAGE, "ReLU", negative_slope=0.25, threshold=0.5)
    add(IMAGE, "ReLU", 2.0, 0.25, 0.5)
    add(IMAGE, "ReLU", 0.25, 0.25, 0.5)
    for shared in (None, [1, 2], [3], [1]):
        add(IMAGE, "PReLU", shared_axes=shared)
    for axis in (1, 2, 3, -2):
        add(IMAGE, "Softmax", axis=axis)
    add(IMAGE, "Rescaling", 1 / 127.5, -1)
    add(IMAGE, "Rescaling", [1.0, 2.0, 3.0], [0.5, 0.1, 0.2])
    for options in ({}, {"axis": 3, "epsilon": 1e-5, "center": False}, {"scale": False}):
        add(IMAGE, "LayerNormalization", **options)
    for options in ({}, {"invert": True}):
        add(IMAGE, "Normalization", mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0], **options)
    add(IMAGE, "Normalization", axis=None, mean=2.0, variance=3.0)
    return cases


LAYERS = layer_cases()


@pytest.mark.parametrize("case", LAYERS)
def test_layer(keras: ModuleType, tmp_path: Path, case: str) -> None:
    shape, make = LAYERS[case]
    keras.utils.clear_session()
    # What follows reads the layer as networks do, so that normalisation and ReLU have something to fold into.
    after = [keras.layers.BatchNormalization(), keras.layers.ReLU()]
    model = keras.Sequential([keras.Input(shape), *make(keras.layers), *after])
    randomize(model, 3)
    check(keras, tmp_path, model)


@pytest.mark.parametrize("shapes", [[(4, 3, 2)] * 2, [(4, 3, 2), (1, 1, 2)], [(4, 3, 1), (1, 1, 2)], [(4, 3, 2)] * 3])
@pytest.mark.parametrize("kind", ["Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average"])
def test_layer_of_several_inputs(keras: ModuleType, tmp_path: Path, kind: str, shapes: list[tuple[int, ...]]) -> None:
    keras.utils.clear_session()
    inputs = [keras.Input(shape) for shape in shapes[:2]]
    chosen = inputs if kind == "Subtract" else [*inputs, *inputs][: len(shapes)]
    y = getattr(keras.layers, kind)()(chosen)
    model = keras.Model(inputs, keras.layers.Conv2D(2, 1)(y))
    randomize(model, 3)
    check(keras, tmp_path, model)


@pytest.mark.parametrize(
    ("axis", "shapes"),
    [
        (-1, [(4, 3, 2), (4, 3, 5)]),
        (1, [(4, 3, 2), (1, 3, 2)]),
        (-2, [(4, 3, 2), (4, 1, 2)]),
        (1, [(4,), (2,)]),
    ],
)
def test_concatenate(keras: ModuleType, tmp_path: Path, axis: int, shapes: list[tuple[int, ...]]) -> None:
    keras.utils.clear_session()
    inputs = [keras.Input(shape) for shape in shapes]
    check(keras, tmp_path, keras.Model(inputs, keras.layers.Concatenate(axis)(inputs)))


def test_adapted_normalization(keras: ModuleType, tmp_path: Path) -> None:
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2, 3, (50, *IMAGE)))
    check(keras, tmp_path, keras.Sequential([keras.Input(IMAGE), layer, keras.layers.Conv2D(2, 1)]))


OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {
    "hard sigmoid of MobileNetV3": lambda ops, x: ops.relu6(x + 3.0) * (1 / 6),
    "from a number": lambda ops, x: 1 - x,
    "difference": lambda ops, x: x - ops.relu6(x),
    "quotient": lambda ops, x: x / 4.0,
    "negative": lambda ops, x: -x,
    "by channel": lambda ops, x: x * np.float32([1, 2, 3]) + np.float32([3, 2, 1]),
    "mean": lambda ops, x: ops.mean(x, axis=(1, 2), keepdims=True),
    "mean of an axis": lambda ops, x: ops.mean(x, axis=1),
    "mean of channels": lambda ops, x: ops.mean(x, axis=-1, keepdims=True),
    "max of channels": lambda ops, x: ops.max(x, axis=-1, keepdims=True),
    "max": lambda ops, x: ops.max(x, axis=[1, 2]),
    "slice": lambda ops, x: x[:, 1:3, :, ::2],
    "last index": lambda ops, x: x[..., 0],
    "index": lambda ops, x: x[:, -1, 1:-1],
    "new axis": lambda ops, x: x[:, None, ..., 1:],
    "maximum": lambda ops, x: ops.maximum(x, -x),
    "maximum of a number": lambda ops, x: ops.maximum(x, 0.25),
    "minimum of a number": lambda ops, x: ops.minimum(0.25, x),
    "clip": lambda ops, x: ops.clip(x, -1, 1),
    "concatenate": lambda ops, x: ops.concatenate([x, -x], axis=1),
    "reshape": lambda ops, x: ops.reshape(x, (-1, 10, 9)),
    "transpose": lambda ops, x: ops.transpose(x, (0, 3, 1, 2)),
    "expand and squeeze": lambda ops, x: ops.squeeze(ops.expand_dims(x, 1), 1),
    "softmax": lambda ops, x: ops.softmax(x, axis=1),
    "log softmax": lambda ops, x: ops.log_softmax(x),
    "log softmax of an axis": lambda ops, x: ops.log_softmax(x, axis=1),
    "square": lambda ops, x: ops.square(x),
    "pad": lambda ops, x: ops.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
    "average pool": lambda ops, x: ops.average_pool(x, 2),
    "max pool": lambda ops, x: ops.max_pool(x, 2, strides=1, padding="same"),
    "squeeze and excitation": lambda ops, x: x * ops.sigmoid(ops.mean(x, axis=(1, 2), keepdims=True)),
    "exact gelu": lambda ops, x: ops.gelu(x, approximate=False),
    "leaky relu of a slope": lambda ops, x: ops.leaky_relu(x, negative_slope=0.1),
}
#: Arguments of keras.activations.relu.
RELU: dict[str, dict[str, float]] = {
    "relu": {},
    "relu of a slope": {"negative_slope": 0.1},
    "relu of a threshold": {"threshold": 0.5, "max_value": 2.0},
    "relu of a negative threshold": {"threshold": -0.5},
    "relu of a slope and a threshold": {"negative_slope": 0.25, "threshold": 0.5},
    "relu of everything": {"negative_slope": 0.25, "threshold": 0.5, "max_value": 2.0},
}
FUNCTIONS = (
    "relu", "relu6", "sigmoid", "tanh", "silu", "hard_silu", "hard_sigmoid", "hard_tanh", "leaky_relu", "elu", "selu",
    "gelu", "softplus", "softsign", "log_sigmoid", "exp",
)  # fmt: skip


@pytest.mark.parametrize("case", [*OPERATIONS, *FUNCTIONS])
def test_operation(keras: ModuleType, tmp_path: Path, case: str) -> None:
    keras.utils.clear_session()
    x = keras.Input(IMAGE)
    y = OPERATIONS[case](keras.ops, x) if case in OPERATIONS else getattr(keras.ops, case)(x)
    check(keras, tmp_path, keras.Model(x, y))


@pytest.mark.parametrize("case", RELU)
def test_relu_with_arguments(keras: ModuleType, tmp_path: Path, case: str) -> None:
    keras.utils.clear_session()
    x = keras.Input(IMAGE)
    check(keras, tmp_path, keras.Model(x, keras.activations.relu(x, **RELU[case])))


def test_relu_at_its_threshold_is_zero(keras: ModuleType) -> None:
    x = keras.Input((3,))
    model = keras.Model(x, keras.layers.ReLU(negative_slope=0.25, threshold=0.5)(x))
    exact = np.array([[0.0, 0.5, 0.75]], np.float32)
    assert_layers_agree(keras, model, load(model), exact)


def test_shared_layers_and_nested_models(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    twice = layers.Conv2D(3, 3, padding="same", activation="relu")
    inner = keras.Sequential([keras.Input(IMAGE), layers.Conv2D(3, 1), layers.ReLU()])
    j = keras.Input(IMAGE)
    two = keras.Model(j, [layers.Conv2D(2, 3)(j), layers.MaxPooling2D()(j)])
    i = keras.Input(IMAGE)
    x = twice(twice(i))
    z = inner(inner(x))
    model = keras.Model(i, [*two(z), layers.Add()([x, z])])
    randomize(model, 3)
    check(keras, tmp_path, model)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda ops, x: x[:, ::-1], "positive steps"),
        (lambda ops, x: x[:1, :], "let the first index be :"),
        (lambda ops, x: 1 / x, "divide by numbers"),
        (lambda ops, x: ops.transpose(x, (1, 0, 2, 3)), "let axis 0 stay the first"),
        (lambda ops, x: ops.mean(x, axis=(1, 3)), "do not follow each other"),
        (lambda ops, x: ops.cumsum(x, axis=1), "lists what is supported"),
        (lambda ops, x: ops.maximum(x, np.float32([1, 2, 3])), "use one number"),
        (lambda ops, x: ops.softmax(x, axis=None), "flatten before it"),
        (lambda ops, x: ops.log_softmax(x, axis=None), "flatten before it"),
    ],
)
def test_operation_that_is_not_supported_names_the_nearest_form(keras: ModuleType, make, message: str) -> None:
    x = keras.Input(IMAGE)
    with pytest.raises(GgdqError, match=message):
        load(keras.Model(x, make(keras.ops, x)))


def test_relu_of_a_negative_threshold_and_a_maximum_names_the_nearest_form(keras: ModuleType) -> None:
    x = keras.Input(IMAGE)
    with pytest.raises(GgdqError, match="max_value with a negative"):
        load(keras.Model(x, keras.activations.relu(x, threshold=-1.0, max_value=2.0)))


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("Conv2DTranspose", {"dilation_rate": 2}, "use dilation_rate 1"),
        ("Conv2DTranspose", {"strides": 2, "output_padding": 1}, "output_padding is not supported"),
        ("Conv2D", {"data_format": "channels_first"}, "channels_last"),
    ],
)
def test_option_that_is_not_supported_names_the_layer_and_a_fix(keras: ModuleType, kind, options, message: str) -> None:
    model = keras.Sequential([keras.Input(IMAGE), getattr(keras.layers, kind)(2, 3, name="odd", **options)])
    with pytest.raises(GgdqError, match=message) as caught:
        load(model)
    assert "'odd'" in str(caught.value)
