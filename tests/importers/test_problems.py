"""All that is in the way of a model file is found at once; sizes that a file leaves open can be given."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from onnx_networks import model, node

from ggdq_mcu.cli import group
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from ggdq_mcu.importers.shapes import parse_shapes, with_given

OPEN = (1, 3, None, None)


def two_problems(folder: Path) -> Path:
    path = folder / "net.onnx"
    nodes = [
        node("Det", "x", "a", name="first"),
        node("Relu", "a", "b", name="between"),
        node("NonZero", "b", "y", name="second"),
    ]
    path.write_bytes(model(nodes, {"x": (1, 2, 4, 4)}).SerializeToString())
    return path


def test_the_error_tells_the_first_and_how_many_more(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match=r"'first' \(Det\).*\(1 more: ggdq-mcu inspect lists them\)") as caught:
        load(two_problems(tmp_path))
    assert [one.where.split(": ")[1] for one in caught.value.all] == ["node 'first' (Det)", "node 'second' (NonZero)"]


def test_inspect_lists_all_of_them_and_exits_with_2(tmp_path: Path) -> None:
    path = two_problems(tmp_path)
    told = CliRunner().invoke(group, ["inspect", str(path)])
    assert told.exit_code == 2
    assert "node 'first' (Det): this operator is not supported" in told.output
    assert "node 'second' (NonZero): this operator is not supported" in told.output
    found = json.loads(CliRunner().invoke(group, ["inspect", str(path), "--json"]).output)
    assert [one["layer"] for one in found["problems"]] == ["node 'first' (Det)", "node 'second' (NonZero)"]
    assert all(one["reason"] and one["fix"] for one in found["problems"])


def test_open_sizes_are_given_by_name_or_for_the_only_input(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(model([node("Relu", "x", "y")], {"x": (None, 3, None, None)}).SerializeToString())
    with pytest.raises(GgdqError, match="--input-shape x=1,3,N,N"):
        load(path)
    for name in ("x", ""):
        graph = load(path, input_shapes={name: (1, 3, 4, 5)})
        image = np.random.default_rng(0).normal(size=(2, 4, 5, 3)).astype(np.float32)
        np.testing.assert_array_equal(graph.run({"x": image})[graph.outputs[0]], np.maximum(image, 0))


def test_open_sizes_of_a_keras_file_are_given(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    path = tmp_path / "net.keras"
    x = keras.Input((None, None, 3), name="image")
    keras.Model(x, keras.layers.Conv2D(2, 3)(x)).save(path)
    assert load(path, input_shapes={"image": (1, 6, 5, 3)}).shapes["image"] == (6, 5, 3)


def test_shapes_are_parsed() -> None:
    assert parse_shapes(["a=1,3,4", "1,5"]) == {"a": (1, 3, 4), "": (1, 5)}


@pytest.mark.parametrize("texts", [["a=1,x"], ["a="], ["1,2", "1,3"]])
def test_what_is_no_shape_is_one_line(texts: list[str]) -> None:
    with pytest.raises(GgdqError, match="input shape"):
        parse_shapes(texts)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"z": (1, 3, 4, 4)}, "names no input"),
        ({"x": (1, 4, 4, 4)}, "contradicts the file"),
        ({"x": (1, 3, 4)}, "contradicts the file"),
        ({"x": (1, 3, 0, 4)}, "sizes from 1"),
    ],
)
def test_shapes_that_do_not_fit_the_file_are_one_line(given, message: str) -> None:
    with pytest.raises(GgdqError, match=message):
        with_given({"x": OPEN}, given)
