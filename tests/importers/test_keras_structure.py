"""Keras networks beside their single layers, and what is refused; the layers are in tests/operators/cases."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from keras_networks import assert_layers_agree, check, randomize

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
IMAGE = (6, 5, 3)


def test_adapted_normalization(keras: ModuleType, tmp_path: Path) -> None:
    layer = keras.layers.Normalization()
    layer.adapt(np.random.default_rng(0).normal(2, 3, (50, *IMAGE)))
    check(keras, tmp_path, keras.Sequential([keras.Input(IMAGE), layer, keras.layers.Conv2D(2, 1)]))


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
        (lambda ops, x: ops.transpose(x, (1, 0, 2, 3)), "let axis 0 stay the first"),
        (lambda ops, x: ops.sum(x), "name the axes, without 0"),
        (lambda ops, x: ops.cumprod(x, axis=1), "lists what is supported"),
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
