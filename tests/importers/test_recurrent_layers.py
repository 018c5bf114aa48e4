"""Recurrent layers of Keras, with each of their options, compute what Keras computes, from every kind of file."""

from __future__ import annotations

from collections.abc import Callable
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

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SEQUENCE = (7, 3)
FUNCTIONS = ("tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "relu6", "elu")


def assert_agrees(keras: ModuleType, model: Any, graph: Graph) -> None:
    """Outputs equal Keras' to 1e-5 of the largest magnitude, also after the passes."""
    x = {name: samples(graph.shapes[name]) for name in graph.inputs}
    arrays = list(x.values())
    wanted = [
        np.asarray(y) for y in keras.tree.flatten(model(arrays if len(arrays) > 1 else arrays[0], training=False))
    ]
    for one in (graph, optimize(graph)):
        found = one.run(x)
        assert len(found) == len(wanted)
        for got, want in zip(found.values(), wanted, strict=True):
            assert np.abs(got - want).max() <= 1e-5 * max(1.0, np.abs(want).max())


def check(keras: ModuleType, folder: Path, model: Any) -> Graph:
    """Both kinds of file and the live model give one graph, which computes what Keras computes."""
    randomize(model, 5)
    graph = load(model)
    for ending in ("h5", "keras"):
        model.save(folder / f"model.{ending}")
        assert load(folder / f"model.{ending}", graph.name) == graph
    assert_agrees(keras, model, graph)
    return graph


def every_variant(keras: ModuleType, make: Callable[..., Any]) -> Any:
    """A model with the layer in all its variants, each an output."""
    source = keras.Input(SEQUENCE)
    variants: list[dict[str, Any]] = [
        {"return_sequences": sequences, "go_backwards": backwards, "unroll": backwards}
        for sequences in (False, True)
        for backwards in (False, True)
    ]
    variants += [{"use_bias": False}]
    variants += [{"activation": function} for function in FUNCTIONS]
    return keras.Model(source, [make(units=2 + i, **options)(source) for i, options in enumerate(variants)])


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "GRU before", "SimpleRNN"])
def test_every_variant(keras: ModuleType, tmp_path: Path, kind: str) -> None:
    keras.utils.clear_session()
    layers = keras.layers
    makers = {
        "LSTM": layers.LSTM,
        "GRU": lambda **options: layers.GRU(**options, recurrent_activation="hard_sigmoid"),
        "GRU before": lambda **options: layers.GRU(**options, reset_after=False),
        "SimpleRNN": layers.SimpleRNN,
    }
    check(keras, tmp_path, every_variant(keras, makers[kind]))


def test_states_are_outputs(keras: ModuleType, tmp_path: Path) -> None:
    keras.utils.clear_session()
    source = keras.Input(SEQUENCE)
    outputs = []
    for kind in ("LSTM", "GRU", "SimpleRNN"):
        for sequences in (False, True):
            _, *states = getattr(keras.layers, kind)(3, return_state=True, return_sequences=sequences)(source)
            outputs += states
    graph = check(keras, tmp_path, keras.Model(source, outputs))
    assert len(graph.outputs) == 8


def test_a_state_that_nobody_reads_costs_nothing(keras: ModuleType) -> None:
    source = keras.Input(SEQUENCE)
    y, *_ = keras.layers.LSTM(3, return_state=True)(source)
    assert len(optimize(load(keras.Model(source, y))).nodes) == 2


def test_layers_in_nested_models(keras: ModuleType, tmp_path: Path) -> None:
    keras.utils.clear_session()
    layers = keras.layers
    inner = keras.Sequential([keras.Input(SEQUENCE), layers.LSTM(4, return_sequences=True), layers.GRU(3)])
    source = keras.Input(SEQUENCE)
    shared = layers.SimpleRNN(3, return_sequences=True)
    check(keras, tmp_path, keras.Model(source, [inner(shared(source)), shared(shared(source)), layers.LSTM(2)(source)]))


def test_a_stateful_layer_is_known(keras: ModuleType) -> None:
    source = keras.Input(batch_shape=(1, *SEQUENCE))
    graph = load(keras.Model(source, keras.layers.LSTM(3, stateful=True)(source)))
    assert [node.operator.keeps_state for node in graph.nodes] == [False, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda layers, x: layers.LSTM(3, activation="softmax")(x), "softmax"),
        (
            lambda layers, x: layers.LSTM(3)(x, initial_state=layers.LSTM(3, return_state=True)(x)[1:]),
            "let it begin with zeros",
        ),
        (lambda layers, x: layers.GRU(3)(layers.Masking()(x)), "leave out Masking"),
    ],
)
def test_what_is_not_supported_is_said(keras: ModuleType, make, message: str) -> None:
    source = keras.Input(SEQUENCE)
    with pytest.raises(GgdqError, match=message):
        load(keras.Model(source, make(keras.layers, source)))
