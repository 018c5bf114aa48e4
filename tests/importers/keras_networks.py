"""Random Keras networks, and how the graph of one is compared with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize

Draw = Callable[[st.SearchStrategy[Any]], Any]
INLINE = (
    "linear", "relu", "relu6", "sigmoid", "tanh", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "softsign",
    "hard_sigmoid", "hard_silu", "hard_tanh", "log_sigmoid", "mish", "exponential", "softmax",
    "log_softmax",
)  # fmt: skip
small = st.integers(1, 3)


def randomize(model: Any, seed: int) -> None:
    """Random weights, the statistics of batch normalisation among them, that keep values near 1."""
    generator = np.random.default_rng(seed)
    for layer in model.layers:
        if hasattr(layer, "layers"):
            randomize(layer, seed + 1)
            continue
        values = []
        for weight in layer.weights:
            shape = tuple(weight.shape)
            if "variance" in weight.path:
                values.append(generator.uniform(0.3, 2.0, shape))
            elif len(shape) == 1:
                values.append(generator.normal(0.2, 0.7, shape))
            else:
                values.append(generator.normal(0, 1 / np.sqrt(max(np.prod(shape[:-1]), 1)), shape))
        if values and "seed_generator" not in layer.weights[0].path:
            layer.set_weights(values)


def image_layer(draw: Draw, keras: ModuleType, x: Any) -> Any:
    """Some layer applied to the image ``x`` (N, H, W, C)."""
    _, height, width, channels = x.shape
    layers = keras.layers
    padding, activation = draw(st.sampled_from(["same", "valid"])), draw(st.sampled_from(INLINE))
    kernel = (draw(st.integers(1, min(4, height))), draw(st.integers(1, min(3, width))))
    dense = {"activation": activation, "use_bias": draw(st.booleans())}
    options = {**dense, "padding": padding}

    def convolution() -> Any:
        groups = draw(st.sampled_from([1, channels]))
        strides = (draw(small), draw(small))
        return layers.Conv2D(groups * draw(small), kernel, strides=strides, groups=groups, **options)(x)

    def dilated() -> Any:
        rate = (draw(small), draw(small))
        return layers.Conv2D(draw(small), kernel, dilation_rate=rate, **{**options, "padding": "same"})(x)

    def pooling() -> Any:
        pool = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
        return pool(kernel, draw(st.sampled_from([None, (draw(small), draw(small))])), padding)(x)

    def addition() -> Any:
        return layers.Add()([x, layers.Conv2D(channels, 3, padding="same", activation=activation)(x), x])

    makers: list[Callable[[], Any]] = [
        convolution,
        dilated,
        lambda: layers.DepthwiseConv2D(kernel, draw(small), depth_multiplier=draw(small), **options)(x),
        lambda: layers.SeparableConv2D(draw(small), kernel, depth_multiplier=draw(small), **options)(x),
        lambda: layers.BatchNormalization(scale=draw(st.booleans()), center=draw(st.booleans()))(x),
        pooling,
        lambda: layers.ZeroPadding2D(((draw(small) - 1, draw(small)), (draw(small), draw(small) - 1)))(x),
        addition,
        lambda: layers.Dense(draw(small), **dense)(x),
        lambda: activation_layer(draw, keras)(x),
    ]
    return draw(st.sampled_from(makers))()


def activation_layer(draw: Draw, keras: ModuleType) -> Any:
    """Some layer without weights that keeps the shape."""
    layers = keras.layers
    return draw(
        st.sampled_from(
            [
                lambda: layers.Activation(draw(st.sampled_from(INLINE))),
                lambda: layers.ReLU(max_value=draw(st.sampled_from([None, 1.0, 6.0]))),
                lambda: layers.ReLU(max_value=2.0, negative_slope=0.125),
                lambda: layers.ReLU(threshold=0.5),
                lambda: layers.ReLU(draw(st.sampled_from([None, 2.0])), negative_slope=0.125, threshold=0.5),
                lambda: layers.LeakyReLU(0.2),
                lambda: layers.ELU(0.7),
                layers.Softmax,
                lambda: layers.Dropout(0.5),
                lambda: layers.GaussianNoise(0.5),
                lambda: layers.GaussianDropout(0.5),
                lambda: layers.ActivityRegularization(0.1),
            ]
        )
    )()


def vector_layer(draw: Draw, keras: ModuleType, x: Any) -> Any:
    """Some layer applied to the vector ``x`` (N, C)."""
    layers = keras.layers
    kind = draw(st.sampled_from(["dense", "normalization", "activation", "reshape"]))
    if kind == "dense":
        return layers.Dense(draw(small), activation=draw(st.sampled_from(INLINE)))(x)
    if kind == "normalization":
        return layers.BatchNormalization()(x)
    if kind == "reshape":
        return layers.Reshape((-1, 1))(x)
    return activation_layer(draw, keras)(x)


def to_vector(draw: Draw, keras: ModuleType, x: Any) -> Any:
    """Some layer that makes a vector of the image ``x``."""
    layers = keras.layers
    kinds = [layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D]
    return draw(st.sampled_from(kinds))()(x)


def network(draw: Draw, keras: ModuleType) -> Any:
    """A functional network of up to seven layers on a small image, with random weights."""
    keras.utils.clear_session()
    source = x = keras.layers.Input((draw(st.integers(3, 8)), draw(st.integers(2, 7)), draw(st.integers(1, 5))))
    for _ in range(draw(st.integers(1, 4))):
        x = image_layer(draw, keras, x)
    outputs = [x]
    if draw(st.booleans()):
        x = to_vector(draw, keras, x)
        for _ in range(draw(st.integers(0, 2))):
            if len(x.shape) == 2:
                x = vector_layer(draw, keras, x)
        outputs = [x] if draw(st.booleans()) else [*outputs, x]
    model = keras.Model(source, outputs, name="random")
    randomize(model, draw(st.integers(0, 99)))
    return model


def samples(shape: tuple[int, ...], count: int = 3) -> np.ndarray:
    """Inputs with both signs."""
    return np.random.default_rng(7).normal(0, 1.5, (count, *shape)).astype(np.float32)


def values(graph: Graph, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every node's value."""
    found: dict[str, np.ndarray] = {}

    def visit(node: Node, value: np.ndarray) -> np.ndarray:
        found[node.name] = value
        return value

    graph.run(inputs, visit)
    return found


def assert_layers_agree(keras: ModuleType, model: Any, graph: Graph, x: np.ndarray | None = None) -> None:
    """Every layer's output equals Keras' to 1e-5 of its largest magnitude.

    Where large values cancel out, what is left is as inexact as float32 is for the largest value of the network.
    """
    layers = [layer for layer in model.layers if not hasattr(layer, "layers") and len(layer._inbound_nodes) == 1]
    tensors = {layer.name: layer.output for layer in layers}
    arrays = {name: samples(graph.shapes[name]) if x is None else x for name in graph.inputs}
    expected = keras.Model(model.inputs, tensors)([arrays[name] for name in graph.inputs], training=False)
    expected = {name: np.asarray(value) for name, value in expected.items()}
    found = values(graph, arrays)
    rounding = 4 * np.finfo(np.float32).eps * max(np.abs(want).max() for want in expected.values())
    assert expected.keys() <= found.keys()
    for name, want in expected.items():
        assert found[name].shape == want.shape
        assert np.abs(found[name] - want).max() <= max(1e-5 * np.abs(want).max(), rounding), name


def saved_and_loaded(model: Any, folder: Path) -> list[Graph]:
    """The graphs of the model saved in each format that this Keras writes, and of the model itself."""
    for ending in ("h5", "keras"):
        model.save(folder / f"random.{ending}")
    return [load(folder / "random.h5"), load(folder / "random.keras"), load(model)]


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
