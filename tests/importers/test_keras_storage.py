"""Weights that Keras stores otherwise than as float32 are read as what they stand for; custom classes are named."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from keras_networks import samples

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.mark.parametrize("policy", ["bfloat16", "float16", "mixed_float16", "mixed_bfloat16"])
def test_weights_of_half_precision_are_read_exactly(keras: ModuleType, tmp_path: Path, policy: str) -> None:
    layer = keras.layers.Dense(4, dtype=policy)
    model = keras.Sequential([keras.Input((7,)), layer])
    model.save(tmp_path / "model.keras")
    kernel = np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(layer.kernel, "float32")))
    np.testing.assert_array_equal(load(tmp_path / "model.keras").by_name[layer.name].weights["kernel"], kernel)


@pytest.mark.parametrize("live", [False, True])
def test_int8_weights_are_divided_by_their_scales(keras: ModuleType, tmp_path: Path, live: bool) -> None:
    model = keras.Sequential([keras.Input((7,)), keras.layers.Dense(16, activation="relu"), keras.layers.Dense(5)])
    before = load(model)
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    after = load(model if live else tmp_path / "model.keras")
    x = {name: samples(before.shapes[name]) for name in before.inputs}
    (wanted,), (found,) = before.run(x).values(), after.run(x).values()
    # 8-bit weights: relative error of 1 / 254 at most in each product.
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())


def test_weights_of_4_bits_are_refused_in_one_line(keras: ModuleType, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((8,)), keras.layers.Dense(16)])
    model.quantize("int4")
    with pytest.raises(GgdqError, match=r"quantized by Keras \(int4"):
        load(model)


@pytest.mark.parametrize("ending", ["keras", "h5"])
def test_layer_without_a_configuration_is_a_custom_class(keras: ModuleType, tmp_path: Path, ending: str) -> None:
    class Scaled(keras.layers.Layer):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factor = factor

        def call(self, x: object) -> object:
            return x * self.factor

    path = tmp_path / f"model.{ending}"
    keras.Sequential([keras.Input((8,)), Scaled(3.0), keras.layers.Dense(2)]).save(path)
    with pytest.raises(GgdqError, match=r"Scaled.*custom class.*its code is not in the file"):
        load(path)
