"""TFLite files: float networks agree with TensorFlow's reference interpreter, operator by operator."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from keras_networks import randomize

from ggdq_mcu.importers import load
from ggdq_mcu.operators import tflite_operators
from ggdq_mcu.passes import optimize
from importers.tflite_files import FileTensor, Op, constant, write
from importers.tflite_networks import Interpreter, convert, convert_keras

GENERATOR = np.random.default_rng(5)


def random(*shape: int) -> np.ndarray:
    return GENERATOR.normal(0, 1, shape).astype(np.float32)


def assert_agrees(path: Path) -> set[str]:
    """The graph, and the optimized graph, compute what the interpreter does; gives the kinds of the file's operators."""
    graph, interpreter = load(path), Interpreter(path, reference=False)
    shapes = [tuple(detail["shape"][1:]) for detail in interpreter.inner.get_input_details()]
    assert [graph.shapes[name] for name in graph.inputs] == shapes
    samples = [random(*shape) for shape in shapes]
    expected = interpreter.run(*samples)
    batch = {name: sample[None] for name, sample in zip(graph.inputs, samples, strict=True)}
    for one in (graph, optimize(graph)):
        found = one.run(batch)
        assert len(one.outputs) == len(expected)
        for name, want in zip(one.outputs, expected, strict=True):
            # Sums of float32 in another order: some units of 2^-24 of the largest term.
            np.testing.assert_allclose(
                found[name].reshape(want.shape), want, rtol=1e-5, atol=1e-5 * np.abs(want).max(), err_msg=name
            )
    return {one["op_name"] for one in interpreter.inner._get_ops_details()}


def image_operators(tf: Any) -> Callable[..., Any]:
    """Operators on an image (7, 6, 4) and a second one (7, 6, 2)."""
    kernel, deep, row = random(3, 2, 4, 6), random(3, 3, 4, 2), random(4)
    grouped, wide = random(3, 3, 2, 8), random(3, 4, 5, 4)

    def network(x: Any, y: Any) -> list[Any]:
        conv = tf.nn.conv2d(x, kernel, (2, 1), "SAME") + random(6)
        dilated = tf.nn.relu6(tf.nn.conv2d(x, kernel, 1, "VALID", dilations=(2, 2)))
        return [
            tf.nn.relu(conv),
            dilated,
            tf.tanh(tf.nn.depthwise_conv2d(x, deep, (1, 2, 2, 1), "SAME")),
            tf.nn.conv2d(x, grouped, 1, "SAME"),
            tf.nn.conv2d_transpose(x, wide, (1, 14, 12, 5), 2, "SAME") + random(5),
            tf.nn.conv2d_transpose(x, wide, (1, 15, 14, 5), 2, "VALID"),
            x + row, 2.0 - x, x - tf.tanh(x), x * y[..., :1], x * row, x / row, -x,
            tf.maximum(x, 0.3), tf.minimum(x, tf.tanh(x)), tf.math.squared_difference(x, tf.tanh(x)),
            tf.math.squared_difference(x, row), tf.square(x), tf.math.add_n([x, x * 2.0, x * 3.0]),
            tf.nn.avg_pool2d(x, (2, 3), (2, 2), "SAME"), tf.nn.max_pool2d(x, 3, 2, "SAME"),
            tf.reduce_mean(x, (1, 2)), tf.reduce_mean(x, 3, keepdims=True), tf.reduce_max(x, (1, 2), keepdims=True),
            tf.pad(x, ((0, 0), (1, 2), (0, 1), (0, 0))),
            tf.image.resize(x, (14, 18), "nearest"), tf.image.resize(x, (14, 12), "bilinear"),
            tf.nn.space_to_depth(x[:, :6], 2), tf.nn.depth_to_space(x, 2),
            tf.concat([x, y], 3), tf.concat([y, y[:, :3]], 1), tf.transpose(x, (0, 3, 1, 2)),
            x[:, 1:6:2, -3:, 1], tf.slice(y, (0, 2, 0, 1), (1, 4, -1, 1)), *tf.split(x, 2, 3), *tf.split(x, (2, 5), 1),
            *tf.unstack(y, axis=3)[:1],
        ]  # fmt: skip

    return network


def vector_operators(tf: Any) -> Callable[..., Any]:
    """Operators on a sequence (5, 4) and a vector (6,)."""
    matrix, short = random(4, 3), random(6, 7)

    def network(x: Any, y: Any) -> list[Any]:
        return [
            tf.nn.relu(tf.matmul(y, short) + random(7)), tf.tensordot(x, matrix, 1) + random(3),
            tf.reshape(x, (1, 10, 2)), tf.expand_dims(y, 2), tf.squeeze(x[:, :1], 1), tf.broadcast_to(y[:, None], (1, 3, 6)),
            tf.nn.softmax(x), tf.nn.softmax(y * 2.0), tf.nn.log_softmax(x), tf.nn.elu(x), tf.exp(x),
            x * tf.nn.relu6(x + 3.0) * (1 / 6),
            tf.nn.leaky_relu(x, 0.3), tf.sigmoid(x), tf.tanh(x), tf.nn.relu(x),
            tf.nn.relu6(y), tf.clip_by_value(x, -1.0, 1.0), tf.maximum(y, -0.5),
            tf.abs(x), tf.sin(x), tf.cos(x), tf.floor(x * 3.0), tf.math.ceil(x * 3.0), tf.round(x * 3.0),
            tf.sqrt(tf.abs(x) + 0.1), tf.math.rsqrt(tf.abs(x) + 0.1), tf.math.log(tf.abs(x) + 0.1),
            tf.stack([y, y * 2.0], 1),
            tf.gather(x, [3, 0], axis=1), tf.gather_nd(x, [[[0, 1], [0, 3]]]), tf.reverse(x, [1]),
            tf.pad(x, ((0, 0), (2, 1), (0, 0)), "REFLECT"), tf.reduce_sum(x, 1), tf.reduce_min(x, 2), tf.cumsum(x, 1),
            tf.reduce_all(x > -1.0, 2), tf.reduce_any(x > 1.0, 1), tf.argmax(y, 1), tf.argmin(x, 2),
            *(getattr(tf, name)(x, tf.tanh(x)) for name in ("equal", "not_equal", "greater", "greater_equal")),
            tf.less(x, tf.nn.relu(x)), tf.less_equal(x, tf.nn.relu(x)), tf.where(x > 0.0, x, tf.tanh(x)),
            tf.logical_and(x > -1.0, x < 0.5), tf.logical_or(x > 1.0, x < 0.0), tf.cast(tf.cast(x * 3.0, tf.int32), tf.float32),
            tf.matmul(x, tf.tanh(x), transpose_b=True), tf.nn.l2_normalize(x, -1),
            tf.math.floordiv(x, tf.tanh(x) + 3.0), tf.math.floormod(x, tf.tanh(x) + 3.0),
            tf.batch_to_space(tf.tanh(tf.space_to_batch(x, [2], [[0, 1]])), [2], [[1, 0]]),
        ]  # fmt: skip

    return network


def rare_operators(path: Path) -> Path:
    """A file by hand, of an image (1, 2, 3, 4), with what the converter makes of nothing."""
    image, half = (1, 2, 3, 4), np.random.default_rng(1).normal(0, 1, (4, 1, 1, 4)).astype(np.float16)
    tensors = [
        FileTensor(image), FileTensor((1, 2, 3, 1, 4)), FileTensor((2, 3, 4)), FileTensor(image), FileTensor(image),
        FileTensor(image), FileTensor(image), FileTensor((1, 4, 4, 4)), constant([[0, 0], [1, 1], [0, 1], [0, 0]], "int32"),
        constant(0.0), constant([[[0.1, -0.2, 0.3, 2.0]]]), constant(3, "int32"), constant(half, "float16"),
        FileTensor(half.shape), FileTensor(image), constant([2.0, 0.5, -1.0, 4.0]),
        FileTensor(image),
    ]  # fmt: skip
    operators = [
        Op("EXPAND_DIMS", (0, 11), (1,)), Op("SQUEEZE", (1,), (2,), "SqueezeOptions"),
        Op("PRELU", (0, 10), (3,)), Op("RELU_0_TO_1", (0,), (4,)), Op("GELU", (0,), (5,), "GeluOptions"),
        Op("GELU", (0,), (6,), "GeluOptions", {"Approximate": True}), Op("PADV2", (0, 8, 9), (7,)),
        Op("DIV", (0, 15), (16,), "DivOptions", {"FusedActivationFunction": 1}),
        Op("DEQUANTIZE", (12,), (13,), "DequantizeOptions"),
        Op("CONV_2D", (0, 13, 15), (14,), "Conv2DOptions", {"StrideH": 1, "StrideW": 1, "FusedActivationFunction": 2}),
    ]  # fmt: skip
    return write(path, tensors, operators, [0], [2, 3, 4, 5, 6, 7, 14, 16])


def known_operators(path: Path) -> Path:
    """A file by hand, of an image (1, 2, 3, 4), with operators that the converter computes itself."""
    shape = (1, 2, 3, 4)
    image, sizes = FileTensor(shape), FileTensor((4,), "int32")
    truths = FileTensor(shape, "bool")
    tensors = [
        image, constant(shape, "int32"), constant(2.5), image, image, image, image, sizes, sizes, image, truths, truths,
        image, image, FileTensor((1, 2, 2, 4)),
    ]  # fmt: skip
    window = {"FilterHeight": 2, "FilterWidth": 2, "StrideH": 1, "StrideW": 2}
    operators = [
        Op("FILL", (1, 2), (3,)), Op("ADD", (0, 3), (4,), "AddOptions"),
        Op("ZEROS_LIKE", (0,), (5,)), Op("SUB", (5, 0), (6,), "SubOptions"),
        Op("SHAPE", (0,), (7,), "ShapeOptions", {"OutType": 2}), Op("BROADCAST_ARGS", (7, 1), (8,)),
        Op("RESHAPE", (0, 8), (9,)), Op("GREATER", (0, 6), (10,)), Op("LOGICAL_NOT", (10,), (11,)),
        Op("TANH", (0,), (12,)), Op("SELECT_V2", (11, 0, 12), (13,)), Op("L2_POOL_2D", (0,), (14,), "Pool2DOptions", window),
    ]  # fmt: skip
    return write(path, tensors, operators, [0], [4, 6, 9, 11, 13, 14])


def test_operators_compute_what_the_interpreter_does(keras: ModuleType, tmp_path: Path) -> None:
    import tensorflow as tf

    kinds = assert_agrees(convert(image_operators(tf), [(1, 7, 6, 4), (1, 7, 6, 2)], tmp_path / "images.tflite"))
    kinds |= assert_agrees(convert(vector_operators(tf), [(1, 5, 4), (1, 6)], tmp_path / "vectors.tflite"))
    kinds |= assert_agrees(rare_operators(tmp_path / "rare.tflite"))
    kinds |= assert_agrees(known_operators(tmp_path / "known.tflite"))
    elsewhere = {
        "SELECT",
        "QUANTIZE",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    }  # the last two in tests/network/test_kept_states.py
    assert tflite_operators().keys() - kinds - elsewhere == set()


def test_layers_of_a_keras_network_keep_their_names(keras: ModuleType, tmp_path: Path) -> None:
    layers = keras.layers
    x = layers.Input((9, 8, 3), name="image")
    y = layers.Conv2D(4, (3, 2), padding="same", name="first")(x)
    y = layers.BatchNormalization(name="normal")(y)
    y = layers.ReLU(6.0, name="six")(y)
    y = layers.SeparableConv2D(5, 2, name="apart", activation="relu")(y)
    y = layers.GlobalAveragePooling2D(name="whole")(y)
    y = layers.Flatten(name="flat")(y)
    model = keras.Model(x, layers.Dense(3, activation="softmax", name="classes")(y))
    randomize(model, 3)
    path = convert_keras(model, tmp_path / "model.tflite")
    assert_agrees(path)
    graph = load(path, "net")
    assert graph.name == "net"
    assert list(graph.by_name) == [
        "image", "six", "apart", "apart_2", "whole_rows", "whole_pooled", "whole", "classes", "softmax",
    ]  # fmt: skip


def test_weights_of_sixteen_bits_and_batches_of_any_size_are_read(keras: ModuleType, tmp_path: Path) -> None:
    import tensorflow as tf

    model = keras.Sequential([keras.layers.Input((5, 4)), keras.layers.Conv1D(3, 2), keras.layers.Dense(2, "tanh")])
    randomize(model, 4)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations, converter.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    path = tmp_path / "half.tflite"
    path.write_bytes(converter.convert())
    assert "DEQUANTIZE" in assert_agrees(path)
