"""SavedModel folders: the graph that TensorFlow traced, read without running it."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras_networks import randomize, samples

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize


def exported(model: Any, folder: Path) -> Graph:
    """The graph of the model's SavedModel; its outputs equal the model's."""
    randomize(model, 11)
    model.export(folder / "model", verbose=False)
    graph = load(folder / "model")
    inputs = {name: samples(graph.shapes[name]) for name in graph.inputs}
    order = [tensor._keras_history.operation.name for tensor in model.inputs]
    expected = model(
        [inputs[name] for name in order] if len(inputs) > 1 else next(iter(inputs.values())), training=False
    )
    expected = expected if isinstance(expected, list) else [expected]
    found = graph.run(inputs)
    assert len(expected) == len(graph.outputs)
    for want, name in zip(expected, graph.outputs, strict=True):
        np.testing.assert_allclose(found[name], np.asarray(want), rtol=0, atol=1e-5 * np.abs(want).max())
    return graph


def test_layers_of_an_image_network_are_read(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    x = layers.Input((9, 8, 3), name="image")
    y = layers.Conv2D(4, (3, 2), padding="same", use_bias=False, name="first")(x)
    y = layers.BatchNormalization(name="normal")(y)
    y = layers.ReLU(6.0, name="six")(y)
    y = layers.DepthwiseConv2D(3, padding="same", strides=2, activation="relu", name="deep")(y)
    gate = layers.Conv2D(4, 1, activation="sigmoid", name="gate")(y)
    y = layers.Add(name="sum")([y, gate])
    y = layers.Conv2D(6, 3, padding="same", groups=2, activation="silu", name="grouped")(y)
    y = layers.ZeroPadding2D(((1, 0), (0, 2)), name="zeros")(y)
    y = layers.MaxPooling2D(2, name="largest")(y)
    y = layers.SeparableConv2D(5, 2, activation="leaky_relu", name="apart")(y)
    y = layers.AveragePooling2D(2, 1, "same", name="mean")(y)
    y = layers.GlobalAveragePooling2D(name="whole")(y)
    y = layers.Reshape((-1, 1), name="column")(y)
    y = layers.Flatten(name="flat")(y)
    y = layers.BatchNormalization(scale=False, name="again")(y)
    y = layers.Dropout(0.3)(y)
    graph = exported(keras.Model(x, layers.Dense(3, activation="softmax", name="classes")(y)), tmp_path)
    assert list(graph.by_name) == [
        "image", "first", "normal", "six", "deep", "gate_linear", "gate", "sum", "grouped_linear", "grouped", "zeros",
        "largest", "apart_depthwise", "apart_linear", "apart", "mean", "whole_pooled", "whole", "column", "flat",
        "again", "classes_linear", "classes",
    ]  # fmt: skip


def test_log_softmax_is_read(keras: ModuleType, tmp_path: Path) -> None:
    x = keras.layers.Input((4,), name="x")
    graph = exported(keras.Model(x, keras.layers.Dense(3, activation="log_softmax", name="classes")(x)), tmp_path)
    assert list(graph.by_name) == ["x", "classes_linear", "classes"]


@pytest.mark.parametrize("center", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_batch_normalization_keeps_its_statistics(keras: ModuleType, tmp_path: Path, scale: bool, center: bool) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((5, 5, 2)),
            layers.Conv2D(3, 3, name="conv"),
            layers.BatchNormalization(scale=scale, center=center),
        ]
    )
    statistics = optimize(exported(model, tmp_path)).by_name["conv"].statistics
    assert statistics is not None
    wanted = optimize(load(model)).by_name["conv"].statistics
    assert wanted is not None
    np.testing.assert_allclose(statistics.mean, wanted.mean, rtol=1e-5)
    np.testing.assert_allclose(statistics.deviation, wanted.deviation, rtol=1e-5)


def test_several_inputs_and_outputs_are_kept(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    a, b = layers.Input((4, 4, 1), name="a"), layers.Input((3,), name="b")
    model = keras.Model([a, b], [layers.Dense(2, name="dense")(b), layers.Conv2D(2, 2, name="conv")(a)])
    graph = exported(model, tmp_path)
    assert graph.inputs == ("a", "b")
    assert graph.outputs == ("dense", "conv")


def test_shared_layer_keeps_its_weights_at_each_call(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    x = layers.Input((4, 4, 2), name="x")
    shared = layers.Conv2D(2, 3, padding="same", name="shared")
    exported(keras.Model(x, layers.Add()([shared(x), shared(shared(x))])), tmp_path)


def test_value_that_is_read_before_its_activation_too_is_kept(keras: ModuleType, tmp_path: Path) -> None:
    class Both(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(4)

        def call(self, x: Any) -> Any:
            y = self.dense(x)
            return keras.ops.relu(y) + y

    x = keras.layers.Input((4,), name="x")
    exported(keras.Model(x, Both()(x)), tmp_path)


def test_operation_that_is_not_supported_is_named(keras: ModuleType, tmp_path: Path) -> None:
    x = keras.layers.Input((4,), name="x")
    keras.Model(x, keras.ops.sin(x)).export(tmp_path / "model", verbose=False)
    with pytest.raises(GgdqError, match=r"model: operation .*Sin\): is not supported.*save the model as .keras"):
        load(tmp_path / "model")


def test_nan_weights_are_refused(keras: ModuleType, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="dense")])
    model.get_layer("dense").set_weights([np.full((4, 2), np.nan), np.zeros(2)])
    model.export(tmp_path / "model", verbose=False)
    with pytest.raises(GgdqError, match=r"variable '.*dense/kernel' holds NaN or infinite values"):
        load(tmp_path / "model")


def test_folder_that_is_no_saved_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match=r"without saved_model.pb"):
        load(tmp_path)


def test_damaged_saved_model_is_refused(keras: ModuleType, tmp_path: Path) -> None:
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="dense")])
    model.export(tmp_path / "model", verbose=False)
    file = tmp_path / "model" / "saved_model.pb"
    whole = file.read_bytes()
    for length in range(0, len(whole), len(whole) // 20 + 1):
        file.write_bytes(whole[:length])
        with pytest.raises(GgdqError, match="model: "):
            load(tmp_path / "model")
    file.write_bytes(whole)
    for part in (tmp_path / "model" / "variables").iterdir():
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    with pytest.raises(GgdqError, match="model: "):
        load(tmp_path / "model")
