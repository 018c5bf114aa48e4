"""Networks that are put together in other ways than layer by layer: nested, shared, several inputs, Sequential."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras_networks import assert_layers_agree, randomize, samples, saved_and_loaded

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.operators.batch_normalization import BatchNormalization


def assert_outputs_agree(model: Any, graph: Graph) -> None:
    """The outputs equal Keras', in Keras' order."""
    inputs = [samples(graph.shapes[name]) for name in graph.inputs]
    expected = model(inputs if len(inputs) > 1 else inputs[0], training=False)
    expected = list(expected.values()) if isinstance(expected, dict) else expected
    expected = expected if isinstance(expected, list) else [expected]
    found = graph.run(dict(zip(graph.inputs, inputs, strict=True)))
    assert len(expected) == len(graph.outputs)
    for want, name in zip(expected, graph.outputs, strict=True):
        np.testing.assert_allclose(found[name], np.asarray(want), rtol=0, atol=1e-5 * np.abs(want).max())


def test_sequential_model_agrees_on_every_layer(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((7, 5, 2)),
            layers.Conv2D(3, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
        ]
    )
    randomize(model, 1)
    for graph in saved_and_loaded(model, tmp_path):
        assert_layers_agree(keras, model, graph)


def test_nested_models_are_written_out(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    block = keras.Sequential(
        [
            layers.Input((6, 5, 3)),
            layers.Conv2D(3, 3, padding="same", name="conv"),
            layers.BatchNormalization(name="bn"),
        ],
        name="block",
    )
    other_input = layers.Input((6, 5, 3))
    other = keras.Model(
        other_input, [layers.Conv2D(3, 1, name="conv")(other_input), layers.ReLU()(other_input)], name="other"
    )
    x = layers.Input((6, 5, 3), name="image")
    first, second = other(block(x))
    model = keras.Model(x, layers.Add(name="sum")([first, second, x]), name="whole")
    randomize(model, 2)
    for graph in saved_and_loaded(model, tmp_path):
        assert_outputs_agree(model, graph)
        names = [node.name for node in graph.nodes]
        assert names == [
            "image",
            "block/conv",
            "block/bn",
            "other/conv",
            "other/" + other.layers[-1].name,
            "sum",
        ]


def test_layers_of_one_name_in_two_nested_models_keep_their_own_weights(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers

    def block(name: str) -> Any:
        source = layers.Input((4, 4, 2))
        inner = keras.Sequential(
            [layers.Input((4, 4, 2)), layers.Conv2D(2, 3, padding="same", name="conv")], name="in_" + name
        )
        return keras.Model(source, layers.Conv2D(2, 1, name="conv")(inner(source)), name=name)

    x = layers.Input((4, 4, 2), name="image")
    model = keras.Model(x, block("b")(block("a")(x)))
    randomize(model, 3)
    for layer in model.layers[1:]:
        randomize(layer, len(layer.name) + ord(layer.name[0]))
    for graph in saved_and_loaded(model, tmp_path):
        assert_outputs_agree(model, graph)


def test_shared_layers_become_a_node_a_call(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    x = layers.Input((5, 5, 2), name="image")
    shared, block = (
        layers.Conv2D(2, 3, padding="same", name="shared"),
        keras.Sequential([layers.Conv2D(2, 1, name="one")], name="block"),
    )
    first = shared(x)
    model = keras.Model(x, layers.Add(name="sum")([shared(first), block(first), block(x)]), name="whole")
    randomize(model, 4)
    for graph in saved_and_loaded(model, tmp_path):
        assert_outputs_agree(model, graph)
        assert {"shared", "shared/1", "block/one", "block/1/one"} <= graph.by_name.keys()


def test_several_inputs_and_outputs_keep_their_order(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    b, a = layers.Input((4, 4, 1), name="b"), layers.Input((3,), name="a")
    vector = layers.Dense(2, name="dense")(a)
    model = keras.Model([b, a], [vector, layers.Conv2D(2, 2, name="conv")(b)])
    randomize(model, 5)
    for graph in saved_and_loaded(model, tmp_path):
        assert graph.inputs == ("b", "a")
        assert graph.outputs == ("dense", "conv")
        assert_outputs_agree(model, graph)


def test_inputs_and_outputs_may_have_names(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    x = layers.Input((4, 4, 1), name="x")
    model = keras.Model({"x": x}, {"p": layers.ReLU(name="relu")(x), "q": layers.Conv2D(2, 2, name="conv")(x)})
    randomize(model, 5)
    model.save(tmp_path / "model.keras")
    assert load(tmp_path / "model.keras").outputs == ("relu", "conv")


def test_sum_of_two_tensors_is_an_addition(keras: ModuleType, tmp_path: Path) -> None:
    x = keras.layers.Input((4, 4, 1), name="x")
    model = keras.Model(x, keras.layers.Conv2D(1, 1)(x) + x)
    randomize(model, 6)
    for graph in saved_and_loaded(model, tmp_path):
        assert_outputs_agree(model, graph)


def test_sum_with_a_number_is_computed(keras: ModuleType, tmp_path: Path) -> None:
    x = keras.layers.Input((4, 4, 1), name="x")
    model = keras.Model(x, keras.layers.ReLU()(x) + 1.5)
    for graph in saved_and_loaded(model, tmp_path):
        assert_outputs_agree(model, graph)


def test_dropout_that_is_told_to_train_is_an_error(keras: ModuleType) -> None:
    x = keras.layers.Input((4, 4, 1), name="x")
    with pytest.raises(GgdqError, match="layer 'drop': is called with training"):
        load(keras.Model(x, keras.layers.Dropout(0.5, name="drop")(x, training=True)))


def test_name_of_a_helping_node_gives_way_to_a_layer(keras: ModuleType) -> None:
    layers = keras.layers
    x = layers.Input((4,), name="x")
    graph = load(keras.Model(x, layers.Dense(3, name="d_linear")(layers.Dense(3, activation="tanh", name="d")(x))))
    assert [node.name for node in graph.nodes] == ["x", "d_linear_2", "d", "d_linear"]


def test_names_hold_nothing_that_ends_a_comment(keras: ModuleType) -> None:
    x = keras.layers.Input((4,), name="x")
    graph = load(keras.Model(x, keras.layers.ReLU(name='a*\\"b\n')(x), name="m *"))
    assert [node.name for node in graph.nodes] == ["x", "a___b_"]
    assert graph.name == "m__"


def test_layer_object_as_activation_keeps_its_parameters(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    activations = [
        layers.LeakyReLU(0.37),
        layers.ReLU(max_value=1.5),
        layers.ELU(0.4),
        keras.activations.gelu,
    ]
    model = keras.Sequential([layers.Input((5, 5, 2)), *(layers.Conv2D(3, 2, activation=one) for one in activations)])
    randomize(model, 7)
    for graph in saved_and_loaded(model, tmp_path):
        assert_layers_agree(keras, model, graph)


def test_batch_normalization_epsilon_is_kept(keras: ModuleType) -> None:
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.BatchNormalization(epsilon=0.25, name="bn")])
    assert load(model).by_name["bn"].operator == BatchNormalization(0.25)
