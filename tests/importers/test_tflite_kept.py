"""Quantized TFLite networks that keep their arithmetic: equal to TensorFlow's reference interpreter, to the bit."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from keras_networks import randomize

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.importers import load, load_kept
from ggdq_mcu.operators.select import Select
from importers.tflite_files import FileTensor, Op, constant, write
from importers.tflite_networks import Interpreter, convert_keras
from importers.tflite_quantized import quantized_file
from network.native_library import run_native


def integers(network: QuantizedGraph, count: int, seed: int) -> dict[str, np.ndarray]:
    """Random integers of the network's inputs (N, ...), the extremes among them."""
    random = np.random.default_rng(seed)
    samples = {}
    for name in network.inputs:
        form = network.by_name[name].format
        values = random.integers(form.low, form.high + 1, (count, *network.shapes[name]))
        values[0], values[1] = form.low, form.high
        samples[name] = values.astype(form.dtype)
    return samples


def assert_equal(path: Path, samples: dict[str, np.ndarray], network: QuantizedGraph) -> None:
    """The integer reference computes what the interpreter does, output by output."""
    interpreter = Interpreter(path)
    found = network.run(samples)
    for i in range(len(next(iter(samples.values())))):
        expected = interpreter.run(*(samples[name][i] for name in network.inputs))
        for name, want in zip(network.outputs, expected, strict=True):
            operator = network.by_name[name].operator
            np.testing.assert_array_equal(
                found[name][i].ravel(), want.ravel(), err_msg=f"{name}: {operator.describe()}"
            )


def assert_equal_in_c(network: QuantizedGraph, samples: dict[str, np.ndarray]) -> None:
    """The C, compiled for this computer, computes what the integer reference does."""
    outputs, _ = run_native(network, samples)
    found = network.run(samples)
    for i, one in enumerate(outputs):
        for name in network.outputs:
            np.testing.assert_array_equal(one[name], found[name][i], err_msg=name)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_operators_are_equal_to_the_interpreter(keras: ModuleType, tmp_path: Path, dtype: str) -> None:
    for seed in range(4):
        path = quantized_file(tmp_path / f"{dtype}{seed}.tflite", dtype, seed)
        _, network = load_kept(path, micro=False)
        samples = integers(network, 6, seed)
        assert_equal(path, samples, network)
        if seed == 0:
            assert_equal_in_c(network, samples)


@pytest.mark.nightly
def test_many_files_are_equal_to_the_interpreter(keras: ModuleType, tmp_path: Path) -> None:
    for seed in range(4, 400):
        path = quantized_file(tmp_path / "many.tflite", ("int8", "uint8")[seed % 2], seed)
        _, network = load_kept(path, micro=False)
        assert_equal(path, integers(network, 6, seed), network)


def test_integers_are_near_the_real_numbers(tmp_path: Path) -> None:
    path = quantized_file(tmp_path / "net.tflite", seed=1)
    graph, network = load_kept(path, micro=False)
    samples = integers(network, 6, 1)
    real = {name: network.by_name[name].format.dequantize(q).astype(np.float32) for name, q in samples.items()}
    found, plain = network.run(samples), load(path).run(real)
    for (name, value), other in zip(graph.run(real).items(), plain.values(), strict=True):
        np.testing.assert_allclose(value, other.reshape(value.shape), rtol=1e-4, atol=1e-4 * np.abs(value).max())
        form, operator = network.by_name[name].format, network.by_name[name].operator
        if isinstance(operator, Select):
            continue  # chooses otherwise where a comparison is close
        inside = np.clip(value, *form.dequantize(np.array([form.low, form.high])))
        # A product of an operand that was rounded already is off by some steps, the others by half of one.
        assert np.abs(form.dequantize(found[name]) - inside).max() <= 3 * form.step, name


def test_a_converted_network_is_equal_to_the_interpreter(keras: ModuleType, tmp_path: Path) -> None:
    """Inverted residuals as MobileNetV2 has them; real numbers at the ends, which the network quantizes."""
    layers = keras.layers
    x = y = layers.Input((12, 11, 3), name="image")
    for filters, strides in ((8, 2), (8, 1)):
        before = y
        y = layers.Conv2D(20, 1, use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.DepthwiseConv2D(3, strides, "same", use_bias=False)(y)
        y = layers.ReLU(6.0)(layers.BatchNormalization()(y))
        y = layers.BatchNormalization()(layers.Conv2D(filters, 1, use_bias=False)(y))
        y = layers.Add()([before, y]) if before.shape == y.shape else y
    gate = layers.Dense(8, "sigmoid")(layers.GlobalAveragePooling2D()(y))
    y = layers.Multiply()([y, layers.Reshape((1, 1, 8))(gate)])
    y = layers.Concatenate()([layers.MaxPooling2D(2)(y), layers.AveragePooling2D(2)(y)])
    model = keras.Model(x, layers.Dense(5, "softmax")(layers.Flatten()(layers.ZeroPadding2D(1)(y))))
    randomize(model, 6)
    samples = np.random.default_rng(2).normal(0, 1, (20, 12, 11, 3)).astype(np.float32)
    path = convert_keras(model, tmp_path / "model.tflite", samples)
    _, network = load_kept(path, micro=False)
    assert_equal(path, integers(network, 10, 3), network)
    graph, doors = load_kept(convert_keras(model, tmp_path / "doors.tflite", samples, floats=True))
    assert [node.format for node in doors.nodes] == [node.format for node in network.nodes]
    assert graph.outputs == doors.outputs


def test_a_converted_segmenter_is_equal_to_the_interpreter(keras: ModuleType, tmp_path: Path) -> None:
    """A U-shaped network: trained slopes, hard swish, GELU, and convolutions that enlarge the image."""
    layers = keras.layers
    x = layers.Input((12, 10, 3))
    a = layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_uniform")(layers.Conv2D(6, 3, padding="same")(x))
    y = layers.Conv2D(8, 3, 2, "same", activation="hard_swish")(a)
    y = layers.Conv2D(8, 3, padding="same", activation="gelu")(y)
    y = layers.Conv2DTranspose(6, 3, 2, "same", activation="relu")(y)
    y = layers.Conv2DTranspose(4, 2, 2, "valid")(layers.Concatenate()([a, y]))
    model = keras.Model(x, layers.Conv2D(2, 1, activation="softmax")(y))
    samples = np.random.default_rng(4).normal(0, 1, (20, 12, 10, 3)).astype(np.float32)
    path = convert_keras(model, tmp_path / "model.tflite", samples)
    _, network = load_kept(path, micro=False)
    found = {type(node.operator).__name__ for node in network.nodes}
    assert {"TFLitePReLU", "TFLiteActivation", "TFLiteConv2D", "Slice"} <= found
    assert_equal(path, integers(network, 10, 3), network)
    assert_equal_in_c(network, integers(network, 2, 4))


def test_keyword_spotter_is_equal_to_the_interpreter(keras: ModuleType, tmp_path: Path, shared: Path) -> None:
    x = np.load(shared / "data" / "kws_features.npz")["x"].astype(np.float32)
    model = keras.models.load_model(shared / "models" / "kws_ds_cnn.keras", compile=False)
    path = convert_keras(model, tmp_path / "kws.tflite", x[:200])
    _, network = load_kept(path, micro=False)
    samples = network.quantize_inputs({network.inputs[0]: x[200:220]})
    assert_equal(path, samples, network)
    assert_equal_in_c(network, samples)


def test_what_cannot_be_kept_is_one_line(tmp_path: Path) -> None:
    image = FileTensor((1, 4, 4, 2), "int8", scales=[0.5], zero_points=[3], name="image")
    other = FileTensor((1, 4, 4, 2), "int8", scales=[0.25], zero_points=[3], name="net/other/x")
    plain = FileTensor((1, 4, 4, 2), name="plain")
    tiny = FileTensor((1, 4, 4, 2), "int8", scales=[1e-30], zero_points=[3], name="tiny")
    huge = constant([[1, 2], [3, 4]], "int8", scales=[1e20], zero_points=[0], name="huge")
    cases = {
        "'other' (LOG_SOFTMAX): its arithmetic cannot be kept": ([image, other], Op("LOG_SOFTMAX", (0,), (1,))),
        "'tiny' has scale 1e-30; 2^-40 to 2^40 can be kept": ([tiny, other], Op("TANH", (0,), (1,))),
        "'huge' has scale 1e+20; 2^-40 to 2^40 can be kept": (
            [FileTensor((1, 2), "int8", scales=[1.0]), FileTensor((1, 2), "int8", scales=[1.0]), huge],
            Op("FULLY_CONNECTED", (0, 2), (1,), "FullyConnectedOptions"),
        ),
        "different scales": ([image, other], Op("RESHAPE", (0,), (1,))),
        "'plain' is not quantized": ([plain, other], Op("TANH", (0,), (1,))),
        "another scale than 1/256": ([image, other], Op("SOFTMAX", (0,), (1,), "SoftmaxOptions", {"Beta": 1.0})),
    }
    for part, (tensors, op) in cases.items():
        path = write(tmp_path / "net.tflite", tensors, [op], [0], [1])
        with pytest.raises(GgdqError) as caught:
            load_kept(path)
        line = str(caught.value)
        assert line.startswith(str(path)) and part in line and "build it without --keep-quantization" in line
        assert "\n" not in line
    with pytest.raises(GgdqError, match="no TFLite file"):
        load_kept(Path(__file__))
