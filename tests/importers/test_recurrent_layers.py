"""Recurrent layers of Keras, with each of their options, compute what Keras computes, from every kind of file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from keras_networks import randomize, samples

from ggdq_mcu.data import DataSet
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.quantize import quantize

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
SEQUENCE = (7, 3)
FUNCTIONS = ("tanh", "sigmoid", "hard_sigmoid", "relu", "linear", "relu6", "elu")


def assert_agrees(keras: ModuleType, model: Any, graph: Graph, real: np.ndarray | None = None) -> None:
    """Outputs equal Keras' to 1e-5 of the largest magnitude, also after the passes."""
    x = {name: samples(graph.shapes[name]) if real is None else real for name in graph.inputs}
    arrays = list(x.values())
    wanted = [
        np.asarray(y) for y in keras.tree.flatten(model(arrays if len(arrays) > 1 else arrays[0], training=False))
    ]
    for one in (graph, optimize(graph)):
        found = one.run(x)
        assert len(found) == len(wanted)
        for got, want in zip(found.values(), wanted, strict=True):
            assert np.abs(got - want).max() <= 1e-5 * max(1.0, np.abs(want).max())


def check(keras: ModuleType, folder: Path, model: Any, real: np.ndarray | None = None) -> Graph:
    """Both kinds of file and the live model give one graph, which computes what Keras computes."""
    randomize(model, 5)
    graph = load(model)
    for ending in ("h5", "keras"):
        model.save(folder / f"model.{ending}")
        assert load(folder / f"model.{ending}", graph.name) == graph
    assert_agrees(keras, model, graph, real)
    return graph


def keras_sequential(layers: Any) -> Any:
    """A model of one layer, on vectors."""
    import keras

    return keras.Sequential([layers.Input((SEQUENCE[1],)), layers.Dense(2)])


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


@pytest.mark.parametrize("mode", ["concat", "sum", "mul", "ave", None])
def test_bidirectional(keras: ModuleType, tmp_path: Path, mode: str | None) -> None:
    keras.utils.clear_session()
    layers = keras.layers
    source = keras.Input(SEQUENCE)
    outputs = []
    for sequences in (False, True):
        inner = layers.LSTM(3, return_sequences=sequences, return_state=sequences)
        outputs += keras.tree.flatten(layers.Bidirectional(inner, merge_mode=mode)(source))
    if mode == "concat":
        backward = layers.SimpleRNN(2, go_backwards=True, return_sequences=True)
        outputs.append(layers.Bidirectional(layers.GRU(3, return_sequences=True), backward_layer=backward)(source))
        inner = keras.Sequential([keras.Input(SEQUENCE), layers.Bidirectional(layers.GRU(3))])
        outputs.append(inner(source))
    check(keras, tmp_path, keras.Model(source, outputs))


#: What TimeDistributed wraps, and the shape of a step.
WRAPPED: dict[str, tuple[tuple[int, ...], Callable[[Any], list[Any]]]] = {
    "vectors": (
        (3,),
        lambda layers: [
            layers.Dense(4, activation="tanh"),
            layers.BatchNormalization(),
            layers.PReLU(),
            layers.LayerNormalization(),
            layers.Dropout(0.5),
            layers.Softmax(),
            layers.RepeatVector(2),
            layers.Permute((2, 1)),
            layers.Flatten(),
        ],
    ),
    "sequences": (
        (8, 2),
        lambda layers: [
            layers.Conv1D(3, 3, padding="same", activation="relu"),
            layers.MaxPooling1D(2),
            layers.SeparableConv1D(4, 2, strides=2),
            layers.ZeroPadding1D(1),
            layers.GRU(3, return_sequences=True),
            layers.GlobalAveragePooling1D(),
        ],
    ),
    "images": (
        (9, 7, 2),
        lambda layers: [
            layers.Conv2D(3, 3, padding="same", activation="elu"),
            layers.DepthwiseConv2D((2, 3), strides=2, padding="same"),
            layers.Conv2D(2, (3, 2), dilation_rate=(2, 1)),
            layers.UpSampling2D(5),
            layers.Conv2D(2, 2, strides=3),
            layers.Cropping2D(((1, 0), (0, 0))),
            layers.UpSampling2D(4),
            layers.MaxPooling2D(2, strides=3),
            layers.AveragePooling2D(3, strides=2, padding="same"),
            layers.GlobalMaxPooling2D(),
        ],
    ),
    "pooled images": (
        (8, 6, 2),
        lambda layers: [layers.MaxPooling2D(3, strides=1), layers.AveragePooling2D(2), layers.Reshape((-1, 2))],
    ),
}


@pytest.mark.parametrize("case", WRAPPED)
def test_time_distributed(keras: ModuleType, tmp_path: Path, case: str) -> None:
    keras.utils.clear_session()
    shape, make = WRAPPED[case]
    x = source = keras.Input((3, *shape))
    outputs = []
    for layer in make(keras.layers):
        x = keras.layers.TimeDistributed(layer)(x)
        outputs.append(x)
    check(keras, tmp_path, keras.Model(source, outputs))


def test_embedding_of_an_input(keras: ModuleType, tmp_path: Path) -> None:
    keras.utils.clear_session()
    layers = keras.layers
    source = keras.Input((6,))
    model = keras.Model(source, layers.GRU(3)(layers.Embedding(20, 4)(source)))
    x = np.random.default_rng(0).integers(0, 20, (60, 6)).astype(np.float32)
    graph = check(keras, tmp_path, model, x)
    quantized = quantize(graph, calibrate(graph, DataSet({graph.inputs[0]: x})))
    assert quantized.nodes[0].format == Format(8, False, 1.0)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16"])
def test_integer_inputs_go_in_as_they_are(keras: ModuleType, tmp_path: Path, dtype: str) -> None:
    keras.utils.clear_session()
    layers = keras.layers
    source = keras.Input((6, 3), dtype=dtype)
    model = keras.Model(source, layers.LSTM(3)(layers.Rescaling(1 / 64, -0.5)(source)))
    randomize(model, 5)
    x = np.random.default_rng(0).integers(0, 100, (60, 6, 3)).astype(dtype)
    for ending in ("h5", "keras"):
        model.save(tmp_path / f"model.{ending}")
        graph = optimize(load(tmp_path / f"model.{ending}"))
        found = graph.run({graph.inputs[0]: x.astype(np.float32)})[graph.outputs[0]]
        np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-5)
    quantized = quantize(graph, calibrate(graph, DataSet({graph.inputs[0]: x})))
    assert quantized.nodes[0].format == Format(np.dtype(dtype).itemsize * 8, dtype != "uint8", 1.0)
    np.testing.assert_array_equal(quantized.quantize_inputs({graph.inputs[0]: x})[graph.inputs[0]], x)


def test_layers_in_nested_models(keras: ModuleType, tmp_path: Path) -> None:
    keras.utils.clear_session()
    layers = keras.layers
    inner = keras.Sequential([keras.Input(SEQUENCE), layers.LSTM(4, return_sequences=True), layers.GRU(3)])
    source = keras.Input(SEQUENCE)
    shared = layers.SimpleRNN(3, return_sequences=True)
    cells = [layers.RNN(cell(2))(source) for cell in (layers.LSTMCell, layers.GRUCell, layers.SimpleRNNCell)]
    outputs = [inner(shared(source)), shared(shared(source)), layers.LSTM(2)(source), *cells]
    check(keras, tmp_path, keras.Model(source, outputs))


def test_a_stateful_layer_is_known(keras: ModuleType) -> None:
    source = keras.Input(batch_shape=(1, *SEQUENCE))
    graph = load(keras.Model(source, keras.layers.LSTM(3, stateful=True)(source)))
    assert [node.operator.keeps_state for node in graph.nodes] == [False, True]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda layers, x: layers.LSTM(3, activation="softmax")(x), "softmax"),
        (
            lambda layers, x: layers.SimpleRNN(3, activation=layers.ReLU(negative_slope=0.25, threshold=0.5))(x),
            "activation .*ReLU.*known",
        ),
        (
            lambda layers, x: layers.LSTM(3)(x, initial_state=layers.LSTM(3, return_state=True)(x)[1:]),
            "let it begin with zeros",
        ),
        (lambda layers, x: layers.TimeDistributed(keras_sequential(layers))(x), "wrap each of its layers alone"),
        (lambda layers, x: layers.TimeDistributed(layers.RepeatVector(2))(layers.ZeroPadding1D(300)(x)), "at most 256"),
        (lambda layers, x: layers.GRU(3)(layers.Embedding(9, 2, mask_zero=True)(x[..., 0])), "mask"),
        (lambda layers, x: layers.TimeDistributed(layers.GroupNormalization(1))(x), "GroupNormalization"),
        (lambda layers, x: layers.GRU(3)(layers.Masking()(x)), "Masking layers are not supported; leave it out"),
    ],
)
def test_what_is_not_supported_is_said(keras: ModuleType, make, message: str) -> None:
    source = keras.Input(SEQUENCE)
    with pytest.raises(GgdqError, match=message):
        load(keras.Model(source, make(keras.layers, source)))
