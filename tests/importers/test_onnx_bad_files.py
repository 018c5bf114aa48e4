"""ONNX files that are no networks, or broken, or hostile: one line that names the node and the cause."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper
from onnx_networks import loaded, model, node, random

from effort import drawn
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load

IMAGE = {"x": (1, 3, 6, 5)}
KERNEL = {"w": random(4, 3, 3, 3)}
CONV = node("Conv", "x w", "y")


def assert_refused(folder: Path, made: ModelProto | bytes, *parts: str) -> None:
    """One line that begins with the file and has the parts in it."""
    path = folder / "net.onnx"
    path.write_bytes(made if isinstance(made, bytes) else made.SerializeToString())
    with pytest.raises(GgdqError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(str(path))
    for part in parts:
        assert part in line


def changed(change: Callable[[ModelProto], Any]) -> ModelProto:
    made = model([CONV], IMAGE, KERNEL)
    change(made)
    return made


def external(location: str, **entries: str) -> Callable[[ModelProto], None]:
    """Puts the kernel into a file beside the model."""

    def change(made: ModelProto) -> None:
        tensor = made.graph.initializer[0]
        (content,) = [numpy_helper.to_array(tensor).tobytes()]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, "offset": "0", "length": str(len(content)), **entries}.items():
            tensor.external_data.add(key=key, value=value)

    return change


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "net.onnx.data").write_bytes(bytes(8) + KERNEL["w"].tobytes())
    graph = loaded(tmp_path, changed(external("net.onnx.data", offset="8")))
    np.testing.assert_array_equal(graph.by_name["y"].weights["kernel"], KERNEL["w"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize("location", ["../net.data", "/etc/hostname", "folder/net.data", "", "link", "none", "."])
def test_weights_anywhere_else_are_not(location: str, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(KERNEL["w"].tobytes())
    (tmp_path / "link").symlink_to(tmp_path / "target")
    assert_refused(tmp_path, changed(external(location)), "tensor 'w'", "external_data=False")


@pytest.mark.parametrize(
    "entries", [{"offset": "8"}, {"length": "4"}, {"offset": "-1"}, {"length": "x"}, {"offset": "9" * 30}]
)
def test_weights_beside_the_model_have_their_size(entries: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "net.data").write_bytes(KERNEL["w"].tobytes())
    assert_refused(tmp_path, changed(external("net.data", **entries)), "tensor 'w'")


@pytest.mark.parametrize("content", [b"", b"\x08\x07", b"hello", b"\x08\x09" + bytes(99)])
def test_not_a_model(content: bytes, tmp_path: Path) -> None:
    assert_refused(tmp_path, content)


def test_every_truncation_is_an_error_or_the_whole(tmp_path: Path) -> None:
    whole = model([CONV], IMAGE, KERNEL).SerializeToString()
    for length in range(0, len(whole) - 1, 7):
        (tmp_path / "net.onnx").write_bytes(whole[:length])
        with pytest.raises(GgdqError):
            load(tmp_path / "net.onnx")


@settings(max_examples=drawn(400), deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes_are_an_error_or_another_network(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    nodes = [node("Conv", "x w", "a", pads=[1, 1, 1, 1]), node("Reshape", "a s", "b"), node("Gemm", "b m", "y")]
    constants = {"w": random(2, 3, 3, 3), "s": np.array([1, -1], np.int64), "m": random(60, 2)}
    content = bytearray(model(nodes, IMAGE, constants).SerializeToString())
    for place, value in changes:
        content[place % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "mutated.onnx"
    path.write_bytes(content)
    try:
        graph = load(path)
    except GgdqError as error:
        assert "\n" not in str(error)
        return
    assert graph.shapes


def test_names_node_reason_and_nearest_form(tmp_path: Path) -> None:
    lines = {
        "GroupNormalization": ("BatchNormalization",),
        "Det": ("lists what is supported",),
    }
    for kind, parts in lines.items():
        assert_refused(
            tmp_path, model([node(kind, "x", "y", name="odd/one")], IMAGE), f"node 'odd/one' ({kind})", *parts
        )


def test_control_flow_and_custom_domains(tmp_path: Path) -> None:
    body = helper.make_graph([node("Identity", "x", "z")], "body", [], [helper.make_empty_tensor_value_info("z")])
    loop = node("If", "c", "y", then_branch=body, else_branch=body)
    assert_refused(tmp_path, model([loop], IMAGE, {"c": np.array(True)}), "(If)", "control flow")
    assert_refused(
        tmp_path, model([node("Conv", "x w", "y", domain="com.evil")], IMAGE, KERNEL), "custom domain 'com.evil'"
    )
    made = changed(lambda made: made.functions.append(helper.make_function("own", "F", ["a"], ["b"], [], [])))
    assert_refused(tmp_path, made, "functions of its own")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda m: m.ClearField("graph"), ["no graph"]),
        (lambda m: m.ClearField("opset_import"), ["opset 0", "opset_version"]),
        (lambda m: setattr(m.opset_import[0], "version", 6), ["opset 6", "opset_version"]),
        (lambda m: setattr(m.opset_import[0], "version", 999), ["opset 999"]),
        (lambda m: m.graph.ClearField("output"), ["no inputs or no outputs"]),
        (lambda m: m.graph.ClearField("initializer"), ["reads 'w', which nothing"]),
        (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.STRING), ["tensor 'w'", "type"]),
        (lambda m: setattr(m.graph.initializer[0], "data_type", TensorProto.COMPLEX64), ["tensor 'w'", "type"]),
        (lambda m: m.graph.initializer[0].dims.append(1 << 40), ["tensor 'w'", "more than"]),
        (lambda m: m.graph.initializer[0].dims.append(2), ["tensor 'w'", "cannot be read"]),
        (lambda m: m.graph.initializer[0].dims.__setitem__(0, -4), ["tensor 'w'"]),
        (lambda m: setattr(m.graph.output[0], "name", "w"), ["does not depend on the network's input"]),
        (lambda m: setattr(m.graph.node[0].attribute.add(name="strides", type=1), "f", 2.0), ["strides is not a list"]),
        (lambda m: m.graph.node[0].attribute.append(helper.make_attribute("group", 3)), ["does not fit 3 channels"]),
        (lambda m: m.graph.node[0].attribute.append(helper.make_attribute("strides", [0, 1])), ["strides"]),
        (lambda m: m.graph.node[0].attribute.append(helper.make_attribute("pads", [1 << 40] * 4)), ["pads"]),
        (lambda m: m.graph.node[0].attribute.append(helper.make_attribute("pads", [1 << 18] * 4)), ["elements"]),
        (lambda m: m.graph.node[0].attribute.append(helper.make_attribute("dilations", [9, 9])), ["does not fit into"]),
    ],
)  # fmt: skip
def test_damaged_models(change: Callable[[ModelProto], Any], parts: list[str], tmp_path: Path) -> None:
    assert_refused(tmp_path, changed(change), *parts)


@pytest.mark.parametrize(
    ("shape", "cause"),
    [
        ((1, 3, "height", 5), "is not fixed"),
        ((1, 3, 0, 5), "is not fixed"),
        ((1, 3, 1 << 20, 1 << 20), "elements"),
    ],
)
def test_inputs_of_no_fixed_shape(shape: tuple[int | str, ...], cause: str, tmp_path: Path) -> None:
    assert_refused(tmp_path, model([CONV], {"x": shape}, KERNEL), "'x'", cause)


def test_inputs_of_a_convolution(tmp_path: Path) -> None:
    assert_refused(tmp_path, model([CONV], {"x": (8, 3, 6, 5)}, KERNEL), "(8, 3, 6, 5) is 8 images", "batch of 1")
    assert_refused(tmp_path, model([CONV], {"x": (3,)}, KERNEL), "(3,) is neither an image nor a sequence")


def test_weights_that_are_not_finite(tmp_path: Path) -> None:
    assert_refused(tmp_path, model([CONV], IMAGE, {"w": KERNEL["w"] * np.nan}), "node 'y' (Conv)", "NaN or infinite")
    assert_refused(tmp_path, model([node("Div", "x z", "y")], IMAGE, {"z": np.float32(0)}), "not finite")


def test_cycles(tmp_path: Path) -> None:
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "b", "y")]
    assert_refused(tmp_path, model(nodes, IMAGE), "reads 'b', which nothing before it makes")


@pytest.mark.parametrize(
    ("kind", "constants"),
    [
        ("ConstantOfShape", [np.array([1 << 30], np.int64)]),
        ("Expand", [np.zeros(1, np.float32), np.array([1 << 14, 1 << 14], np.int64)]),
        ("Tile", [np.zeros(9, np.float32), np.array([1 << 40], np.int64)]),
        ("Range", [np.array(0), np.array(1 << 40), np.array(1)]),
        ("Add", [np.zeros((1 << 14, 1), np.float32), np.zeros(1 << 14, np.float32)]),
        ("Gather", [np.zeros((2, 1 << 14), np.float32), np.zeros(1 << 14, np.int64)]),
    ],
)
def test_constants_that_grow(kind: str, constants: list[np.ndarray], tmp_path: Path) -> None:
    names = [f"c{index}" for index in range(len(constants))]
    nodes = [node(kind, " ".join(names), "big"), node("Mul", "x big", "y")]
    assert_refused(tmp_path, model(nodes, IMAGE, dict(zip(names, constants, strict=True))), f"({kind})", "elements")


@pytest.mark.parametrize(
    ("one", "constants", "cause"),
    [
        (node("Reshape", "x s", "y"), {"s": np.array([7, -1])}, "cannot reshape (1, 3, 6, 5)"),
        (node("Reshape", "x x", "y"), {}, "not a constant"),
        (node("Reshape", "x s", "y"), {"s": np.array([1, -1, -1])}, "cannot reshape"),
        (node("Transpose", "x", "y", perm=[1, 0, 2, 2]), {}, "perm [1, 0, 2, 2]"),
        (node("Flatten", "x", "y", axis=5), {}, "axis 5"),
        (node("Squeeze", "x a", "y"), {"a": np.array([1])}, "not of size 1"),
        (node("Concat", "x x", "y", axis=4), {}, "axis 4"),
        (node("Softmax", "x", "y", axis=9), {}, "axis 9"),
        (node("MaxPool", "x", "y", kernel_shape=[2, 2], dilations=[2, 2]), {}, "dilation"),
        (node("MaxPool", "x", "y i", kernel_shape=[2, 2]), {}, "output 'i'"),
        (node("MaxPool", "x", "y"), {}, "kernel_shape"),
        (node("Pad", "x p", "y", mode="odd"), {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}, "'odd'"),
        (node("Pad", "x p", "y"), {"p": np.array([0, -2, 1, 1, 0, -1, 1, 1])}, "leave nothing"),
        (node("Slice", "x s e s t", "y"), {"s": np.array([2]), "e": np.array([0]), "t": np.array([-1])}, "step"),
        (node("Gather", "x g", "y", axis=1), {"g": np.array([2.5, 0])}, "indices"),
        (node("Gather", "x g", "y", axis=1), {"g": np.array(7)}, "outside"),
        (node("MatMul", "x x", "y"), {}, "shapes do not fit"),
        (node("Gemm", "x m", "y"), {"m": random(5, 2)}, "does not fit"),
        (node("Cast", "x", "y", to=8), {}, "casts to type 8"),
        (node("Add", "x c", "y"), {"c": random(4, 5)}, "does not fit"),
        (node("Clip", "x c", "y"), {"c": random(3)}, "bound for each channel"),
        (node("Pow", "x c", "y"), {"c": np.float32(1.7)}, "exponent"),
        (node("Resize", "x - s", "y"), {"s": np.array([1, 2, 1.5, 2], np.float32)}, "height and width alone"),
        (node("Resize", "x - s", "y", mode="linear"), {"s": np.array([1, 1, 1.3, 2], np.float32)}, "whole number of pixels"),
        (node("Resize", "x - s", "y", mode="cubic"), {"s": np.array([1, 1, 2, 2], np.float32)}, "cubic"),
        (node("BatchNormalization", "x c c c c", "y", training_mode=1), {"c": random(3)}, "training mode"),
        (node("BatchNormalization", "x c c c c", "y"), {"c": -np.ones(3, np.float32)}, "not positive"),
        (node("Selu", "x", "y", alpha=1.0), {}, "alpha"),
        (node("Relu", "x", "y", slope=0.5), {}, "attribute slope = 0.5 is not supported"),
        (node("Conv", "x x", "y"), {}, "kernel is not a constant"),
    ],
)  # fmt: skip
def test_what_is_not_supported_says_why(one: Any, constants: dict[str, np.ndarray], cause: str, tmp_path: Path) -> None:
    outputs = [name for name in one.output if name]
    assert_refused(tmp_path, model([one], IMAGE, constants, outputs), f"node 'y' ({one.op_type})", cause)


def test_package_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    onnx.save_model(changed(lambda _: None), tmp_path / "net.onnx")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(GgdqError, match=r"pip install 'ggdq-mcu\[onnx\]'"):
        load(tmp_path / "net.onnx")
