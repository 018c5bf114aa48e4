"""Files that are no networks, or broken, or hostile: one line that names the file and the cause, and nothing is run."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load

Json = dict[str, Any]


def layer(kind: str, name: str, inputs: list[str], **config: Any) -> Json:
    """A layer's entry in the configuration of Keras 2."""
    nodes = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return {"class_name": kind, "config": {"name": name, **config}, "name": name, "inbound_nodes": nodes}


def model_config(*layers: Json) -> Json:
    """A functional model with the first layer as input and the last as output."""
    names = [one["config"]["name"] for one in layers]
    return {
        "class_name": "Functional",
        "config": {
            "name": "net",
            "layers": list(layers),
            "input_layers": [[names[0], 0, 0]],
            "output_layers": [[names[-1], 0, 0]],
        },
    }


IMAGE = layer("InputLayer", "image", [], batch_input_shape=[None, 6, 5, 2])
CONV = layer("Conv2D", "conv", ["image"], filters=3, kernel_size=[3, 3], strides=[1, 1], padding="same", use_bias=True)
KERNEL = np.linspace(-1, 1, 54, dtype=np.float32).reshape(3, 3, 2, 3)
WEIGHTS: dict[str, list[np.ndarray]] = {"conv": [KERNEL, np.zeros(3, np.float32)]}


def write(path: Path, config: Json | str | None, weights: dict[str, list[np.ndarray]] | None = None) -> Path:
    """An .h5 file as Keras 2 writes it."""
    with h5py.File(path, "w") as file:
        if config is not None:
            file.attrs["model_config"] = config if isinstance(config, str) else json.dumps(config)
        group = file.create_group("model_weights")
        for name, arrays in (WEIGHTS if weights is None else weights).items():
            names = [f"{name}/w{index}:0" for index in range(len(arrays))]
            member = group.create_group(name)
            member.attrs["weight_names"] = [text.encode() for text in names]
            for text, array in zip(names, arrays, strict=True):
                member[text] = array
    return path


def assert_refused(path: Path, *parts: str) -> str:
    """One line that begins with the file and has the parts in it."""
    with pytest.raises(GgdqError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    for part in parts:
        assert part in line
    return line


def test_small_file_is_a_network(tmp_path: Path) -> None:
    graph = load(write(tmp_path / "net.h5", model_config(IMAGE, CONV)))
    assert graph.shapes["conv"] == (6, 5, 3)
    np.testing.assert_array_equal(graph.by_name["conv"].weights["kernel"], KERNEL)


@pytest.mark.parametrize(("given", "used"), [(1, True), (0, False)])
def test_truth_values_may_be_0_or_1(tmp_path: Path, given: int, used: bool) -> None:
    conv = {**CONV, "config": {**CONV["config"], "use_bias": given}}
    graph = load(write(tmp_path / "net.h5", model_config(IMAGE, conv), {"conv": WEIGHTS["conv"][: 1 + given]}))
    assert ("bias" in graph.by_name["conv"].weights) == used


def test_missing_file(tmp_path: Path) -> None:
    assert_refused(tmp_path / "none.h5", "no such file")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", b"PK\x03\x04" + bytes(500), b"\x89HDF\r\n\x1a\n" + bytes(99)]
)
def test_not_a_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(content)
    assert_refused(path)


def test_every_truncation_is_an_error(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.h5", model_config(IMAGE, CONV)).read_bytes()
    path = tmp_path / "cut.h5"
    for length in range(0, len(whole) - 1, max(len(whole) // 60, 1)):
        path.write_bytes(whole[:length])
        assert_refused(path)


def test_file_of_weights_only(tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "net.h5", None), "no model configuration", "model.save()")


def test_configuration_that_is_not_json(tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "net.h5", "{"), "JSON")
    assert_refused(write(tmp_path / "net.h5", "[" * 100000), "JSON")


@pytest.mark.parametrize(
    ("arrays", "cause"),
    [
        ([KERNEL], "1 weights for it instead of 2 (kernel, bias)"),
        ([KERNEL[:2], np.zeros(3)], "kernel has shape (2, 3, 2, 3) in the file instead of (3, 3, 2, 3)"),
        ([KERNEL, np.zeros(4)], "bias has shape (4,) in the file instead of (3,)"),
        ([KERNEL * np.nan, np.zeros(3)], "kernel holds NaN or infinite values"),
        ([KERNEL, np.array([0, np.inf, 0])], "bias holds NaN or infinite values"),
        ([KERNEL * np.float64(1e300), np.zeros(3)], "kernel holds NaN or infinite values"),
        ([np.full((3, 3, 2, 3), b"text"), np.zeros(3)], "kernel is stored as |S4"),
    ],
)
def test_weights_that_do_not_fit(tmp_path: Path, arrays: list[np.ndarray], cause: str) -> None:
    path = write(tmp_path / "net.h5", model_config(IMAGE, CONV), {"conv": arrays})
    assert_refused(path, "layer 'conv' (Conv2D)", cause)


def test_weights_that_are_missing(tmp_path: Path) -> None:
    assert_refused(write(tmp_path / "net.h5", model_config(IMAGE, CONV), {}), "layer 'conv' (Conv2D)", "0 weights")


def test_weight_in_another_file(tmp_path: Path) -> None:
    write(tmp_path / "other.h5", model_config(IMAGE, CONV))
    path = write(tmp_path / "net.h5", model_config(IMAGE, CONV))
    with h5py.File(path, "a") as file:
        del file["model_weights/conv/conv/w0:0"]
        file["model_weights/conv/conv/w0:0"] = h5py.ExternalLink("other.h5", "model_weights/conv/conv/w0:0")
    assert_refused(path, "is a link")


def test_weight_in_raw_bytes_of_another_file(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(KERNEL.tobytes())
    path = write(tmp_path / "net.h5", model_config(IMAGE, CONV))
    with h5py.File(path, "a") as file:
        del file["model_weights/conv/conv/w0:0"]
        external = [(str(raw), 0, KERNEL.nbytes)]
        file["model_weights/conv/conv"].create_dataset("w0:0", KERNEL.shape, np.float32, external=external)
    assert_refused(path, "another file")


def test_giant_tensors_are_refused_before_they_are_read(tmp_path: Path) -> None:
    wide = copy.deepcopy(CONV)
    wide["config"].update(filters=1 << 20, kernel_size=[64, 64])
    path = write(tmp_path / "net.h5", model_config(IMAGE, wide), {"conv": []})
    with h5py.File(path, "a") as file:
        group = file["model_weights/conv"]
        group.attrs["weight_names"] = [b"w0", b"w1"]
        group.create_dataset("w0", (64, 64, 2, 1 << 20), np.float32, chunks=(64, 64, 2, 1))
        group.create_dataset("w1", (1 << 20,), np.float32)
    assert_refused(path, "layer 'conv'", "elements")


def test_giant_images_are_refused(tmp_path: Path) -> None:
    image = layer("InputLayer", "image", [], batch_input_shape=[None, 1 << 19, 1 << 19, 2])
    assert_refused(write(tmp_path / "net.h5", model_config(image, CONV)), "layer 'image'", "elements")


def test_input_of_unknown_size(tmp_path: Path) -> None:
    image = layer("InputLayer", "image", [], batch_input_shape=[None, None, 5, 2])
    assert_refused(write(tmp_path / "net.h5", model_config(image, CONV)), "layer 'image'", "not fixed")


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("Conv3D", "use the layer for images"),
        ("MelSpectrogram", "before the network"),
        ("MaxPooling3D", "use the layer for images"),
        ("Sandwich", "custom class"),
    ],
)
def test_unsupported_layer_is_named_with_a_reason(tmp_path: Path, kind: str, advice: str) -> None:
    path = write(tmp_path / "net.h5", model_config(IMAGE, layer(kind, "odd", ["image"])))
    assert_refused(path, "layer 'odd'", kind, advice)


def test_lambda_is_never_run(tmp_path: Path) -> None:
    code = {"class_name": "__lambda__", "config": {"code": "4wEAAAA=", "defaults": None, "closure": None}}
    path = write(tmp_path / "net.h5", model_config(IMAGE, layer("Lambda", "trick", ["image"], function=code)))
    assert_refused(path, "layer 'trick'", "Lambda", "never run")
    inline = layer("Dense", "trick", ["image"], units=2, activation=code)
    weights = {"trick": [np.zeros((2, 2)), np.zeros(2)]}
    assert_refused(write(tmp_path / "net.h5", model_config(IMAGE, inline), weights), "layer 'trick'", "never run")


def test_custom_class_is_refused(tmp_path: Path) -> None:
    for extra in (
        {"registered_name": "mine>Conv2D", "module": None},
        {"module": "os"},
        {"class_name": "mine>Conv2D"},
    ):
        path = write(tmp_path / "net.h5", model_config(IMAGE, {**CONV, **extra}))
        assert_refused(path, "layer 'conv'", "custom class")


def test_channels_first_is_refused(tmp_path: Path) -> None:
    conv = copy.deepcopy(CONV)
    conv["config"]["data_format"] = "channels_first"
    assert_refused(write(tmp_path / "net.h5", model_config(IMAGE, conv)), "layer 'conv'", "channels_last")


def test_unknown_activation_is_refused_with_the_nearest(tmp_path: Path) -> None:
    conv = copy.deepcopy(CONV)
    conv["config"]["activation"] = "relu7"
    assert_refused(write(tmp_path / "net.h5", model_config(IMAGE, conv)), "layer 'conv'", "'relu7'", "nearest: relu")


def test_subclassed_model_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "net.h5", {"class_name": "MyModel", "config": {"name": "mine"}})
    assert_refused(path, "MyModel", "functional API")


def test_cycle_is_refused(tmp_path: Path) -> None:
    first, second = layer("ReLU", "a", ["b"]), layer("ReLU", "b", ["a"])
    assert_refused(write(tmp_path / "net.h5", model_config(IMAGE, first, second)), "layer 'a'", "itself")


def test_shapes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    pool = layer("MaxPooling2D", "pool", ["image"], pool_size=[9, 9], padding="valid")
    assert_refused(write(tmp_path / "net.h5", model_config(IMAGE, pool)), "layer 'pool'", "empty")
    half = layer("MaxPooling2D", "half", ["image"], pool_size=[2, 2])
    added = model_config(IMAGE, half, layer("Add", "add", ["image", "half"]))
    assert_refused(write(tmp_path / "net.h5", added), "layer 'add'", "(6, 5, 2), (3, 2, 2)")


def test_archive_without_its_parts_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", json.dumps(model_config(IMAGE, CONV)))
    assert_refused(path, "holds no metadata.json")


def test_archive_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (1 << 26) + b" ")
    assert_refused(path, "unpacks to")


def test_hard_sigmoid_is_that_of_the_generation(tmp_path: Path) -> None:
    x = np.array([[0.5]], np.float32)
    config = model_config(
        layer("InputLayer", "x", [], batch_input_shape=[None, 1]),
        layer("Activation", "y", ["x"], activation="hard_sigmoid"),
    )
    for version, value in (("2.9.0", 0.2 * 0.5 + 0.5), ("3.4.0", 0.5 / 6 + 0.5)):
        path = write(tmp_path / "net.h5", config, {})
        with h5py.File(path, "a") as file:
            file.attrs["keras_version"] = version
        np.testing.assert_allclose(load(path).run({"x": x})["y"], [[value]], rtol=1e-6)


def test_archive_without_layer_names_is_read_by_counting(tmp_path: Path) -> None:
    dense = [layer("Dense", name, [source], units=2, use_bias=False) for name, source in (("a", "x"), ("b", "a"))]
    config = model_config(layer("InputLayer", "x", [], batch_input_shape=[None, 2]), *dense)
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        for number, name in enumerate(["dense", "dense_1"]):
            file[f"layers/{name}/vars/0"] = np.full((2, 2), number, np.float32)
        file.create_group("layers/input_layer/vars")
    with zipfile.ZipFile(tmp_path / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.write(tmp_path / "weights.h5", "model.weights.h5")
    graph = load(tmp_path / "net.keras")
    assert [graph.by_name[name].weights["kernel"][0, 0] for name in ("a", "b")] == [0, 1]


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in a JSON value."""
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in items for found in leaves(inner, (*path, key)))]


def replaced(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """The JSON value with ``change`` applied at the path."""
    if not path:
        return change(value)
    value = copy.copy(value)
    value[path[0]] = replaced(value[path[0]], path[1:], change)
    return value


POOL = layer("GlobalAveragePooling2D", "pool", ["conv"])
SOFTMAX = layer("Dense", "dense", ["pool"], units=2, activation="softmax", use_bias=False)
WHOLE = model_config(IMAGE, CONV, POOL, SOFTMAX)
RUBBISH = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 1 << 70), st.floats(), st.text(max_size=5), st.just([]), st.just({}),
    st.lists(st.integers(-2, 5), max_size=4), st.just([["image", 0, 0]]), st.just({"class_name": "Lambda"}),
)  # fmt: skip


@settings(max_examples=drawn(400), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(leaves(WHOLE)), rubbish=RUBBISH)
def test_rubbish_anywhere_in_the_configuration_is_read_or_refused(tmp_path: Path, path: Any, rubbish: Any) -> None:
    config = replaced(WHOLE, path, lambda _: rubbish)
    file = write(tmp_path / "net.h5", json.dumps(config), {**WEIGHTS, "dense": [np.zeros((3, 2), np.float32)]})
    try:
        graph = load(file)
    except GgdqError as error:
        assert str(error).startswith(str(file))
    else:
        assert graph.shapes
