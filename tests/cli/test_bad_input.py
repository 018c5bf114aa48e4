"""Whatever is wrong with the input: exit code 2, one line that names file and cause, and nothing written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest


@pytest.fixture
def model(tmp_path: Path, examples: Path) -> Path:
    """A copy of the example network that a test may spoil; no data lies beside it."""
    return Path(shutil.copy(examples / "digits.h5", tmp_path / "spoiled.h5"))


@pytest.fixture
def refused(cli: Any, tmp_path: Path, examples: Path) -> Callable[..., str]:
    """Builds, expects an error, and gives its line."""

    def run(model: Path, *options: object, board: str = "nucleo", calib: Path | None = None) -> str:
        out = tmp_path / "out"
        before = sorted(tmp_path.rglob("*"))
        data = calib or examples / "digits.npz"
        outcome = cli(
            "build",
            model,
            "--board",
            board,
            "--calib",
            data,
            "--out",
            out,
            "--no-compile",
            "--json",
            *options,
        )
        assert outcome.code == 2
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        assert not out.exists()
        assert sorted(tmp_path.rglob("*")) == before
        errors = [line for line in outcome.err.splitlines() if line.startswith("ggdq-mcu: error: ")]
        assert outcome.err.splitlines()[-1:] == errors
        return errors[0]

    return run


def edit_config(model: Path, layer: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the configuration of one layer in a .h5 model."""
    with h5py.File(model, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        (entry,) = (entry for entry in config["config"]["layers"] if entry["config"]["name"] == layer)
        change(entry)
        file.attrs["model_config"] = json.dumps(config)


def kernel_of(file: h5py.File, layer: str) -> h5py.Dataset:
    """The dataset of a layer's kernel."""
    found: list[h5py.Dataset] = []
    file[f"model_weights/{layer}"].visititems(
        lambda name, item: found.append(item) if name.endswith("kernel") else None
    )
    return found[0]


def test_file_that_does_not_exist(refused: Callable[..., str], tmp_path: Path) -> None:
    line = refused(tmp_path / "absent.h5")
    assert "absent.h5" in line
    assert "no such file" in line


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x89HDF\r\n\x1a\n", b"PK\x03\x04nonsense"])
def test_file_that_is_no_model(refused: Callable[..., str], tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "noise.h5"
    path.write_bytes(content)
    assert "noise.h5" in refused(path)


def test_zip_that_is_no_model(refused: Callable[..., str], examples: Path) -> None:
    assert "digits.npz" in refused(examples / "digits.npz")


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.999])
def test_truncated_file(refused: Callable[..., str], model: Path, kept: float) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: int(len(content) * kept)])
    assert "spoiled.h5" in refused(model)


def test_weights_of_the_wrong_shape(refused: Callable[..., str], model: Path) -> None:
    edit_config(model, "pointwise_2", lambda entry: entry["config"].update(filters=31))
    line = refused(model)
    assert "spoiled.h5" in line
    assert "pointwise_2" in line


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(refused: Callable[..., str], model: Path, value: float) -> None:
    with h5py.File(model, "r+") as file:
        kernel = kernel_of(file, "pointwise_1")
        kernel[0, 0, 0, 0] = value
    line = refused(model)
    assert "spoiled.h5" in line
    assert "pointwise_1" in line


def test_unsupported_layer_is_named_with_the_way_out(refused: Callable[..., str], model: Path) -> None:
    edit_config(model, "dropout", lambda entry: entry.update(class_name="ConvLSTM1D"))
    line = refused(model)
    assert "spoiled.h5" in line
    assert "ConvLSTM1D" in line
    assert "'dropout'" in line
    assert "convert the model to ONNX or TFLite" in line


def test_lambda_layer_is_never_run(refused: Callable[..., str], model: Path, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    code = {"class_name": "__lambda__", "config": {"value": f"open({str(trap)!r}, 'w')"}}
    edit_config(
        model,
        "dropout",
        lambda e: e.update(class_name="Lambda", config={"name": "dropout", "function": code}),
    )
    line = refused(model)
    assert "Lambda" in line
    assert "'dropout'" in line
    assert not trap.exists()


@pytest.mark.parametrize(
    ("arrays", "cause"),
    [
        ({"x": np.zeros((3, 8, 9, 1), np.float32)}, "shape"),
        ({"x": np.zeros((0, 8, 8, 1), np.float32)}, "no sample"),
        ({"x": np.full((3, 8, 8, 1), np.nan, np.float32)}, "NaN"),
        ({"x": np.full((3, 8, 8, 1), np.inf, np.float32)}, "infinite"),
        ({"y": np.zeros(3, np.int64)}, "'x'"),
        ({"x": np.zeros((3, 8, 8, 1), np.float32), "y": np.zeros(4, np.int64)}, "labels"),
        ({"x": np.zeros((3, 8, 8, 1), np.float32), "y": np.array(["text"] * 3)}, "labels"),
        ({"x": np.zeros((3, 8, 8, 1), np.float32), "y": np.float32(3)}, "labels"),
        ({"x": np.array(["text"] * 3)}, "shape"),
        ({"x": np.float32(3)}, "one number"),
        ({"x": np.zeros((3, 8, 8, 1), np.complex64)}, "complex"),
    ],
)
def test_calibration_data(
    refused: Callable[..., str], examples: Path, tmp_path: Path, arrays: dict[str, np.ndarray], cause: str
) -> None:
    data = tmp_path / "bad_data.npz"
    np.savez(data, **arrays)
    line = refused(examples / "digits.h5", calib=data)
    assert "bad_data.npz" in line
    assert cause in line


def test_calibration_data_with_pickled_objects(refused: Callable[..., str], examples: Path, tmp_path: Path) -> None:
    data = tmp_path / "pickle.npz"
    np.savez(data, x=np.array([{"a": 1}], dtype=object))
    assert "pickle.npz" in refused(examples / "digits.h5", calib=data)


def test_calibration_file_that_does_not_exist(refused: Callable[..., str], examples: Path, tmp_path: Path) -> None:
    assert "absent.npz" in refused(examples / "digits.h5", calib=tmp_path / "absent.npz")


def test_unknown_board_with_a_hint(refused: Callable[..., str], examples: Path) -> None:
    line = refused(examples / "digits.h5", board="nucelo")
    assert "'nucelo'" in line
    assert "nucleo" in line.replace("nucelo", "")


@pytest.mark.parametrize(
    "text", ["u8", "u7:1:0", "u8:0:0", "u8:-1:0", "u8:nan:0", "u8:1:256", "s8:x:0", "u8:1:0.5", "a=u8:1:0"]
)
def test_input_format(refused: Callable[..., str], examples: Path, text: str) -> None:
    assert "input format" in refused(examples / "digits.h5", "--input-format", text)


def test_unknown_scheme_and_options(refused: Callable[..., str], examples: Path) -> None:
    assert "'magic'" in refused(examples / "digits.h5", "--scheme", "magic")
    assert "--bits" in refused(examples / "digits.h5", "--bits", "17")
    assert "--no-such-option" in refused(examples / "digits.h5", "--no-such-option")


def test_folder_with_other_files_is_left_alone(cli: Any, examples: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "thesis.txt"
    theirs.write_text("five years of work")
    outcome = cli("build", examples / "digits.h5", "--board", "nucleo", "--out", tmp_path, "--no-compile")
    assert outcome.code == 2
    assert str(tmp_path) in outcome.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert theirs.read_text() == "five years of work"


def test_out_that_is_a_link_is_refused(cli: Any, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    outcome = cli("build", examples / "digits.h5", "--board", "nucleo", "--out", tmp_path / "link", "--no-compile")
    assert outcome.code == 2
    assert list((tmp_path / "real").iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "profile", "flash", "evaluate"])
def test_folder_that_is_no_project(cli: Any, tmp_path: Path, examples: Path, command: str) -> None:
    data = ["--data", examples / "digits_test.npz"] if command == "evaluate" else []
    outcome = cli(command, tmp_path, *data)
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert str(tmp_path) in outcome.err


def test_manifest_that_is_damaged(cli: Any, tmp_path: Path) -> None:
    for content in ("", "[]", "{}", '{"layers": 1}', "\x00"):
        (tmp_path / "ggdq.json").write_text(content)
        outcome = cli("inspect", tmp_path)
        assert outcome.code == 2
        assert outcome.err.count("\n") == 1
        assert "ggdq.json" in outcome.err


def test_network_file_that_is_damaged(cli: Any, tmp_path: Path, examples: Path) -> None:
    out = tmp_path / "out"
    assert cli("build", examples / "digits.h5", "--board", "host", "--out", out, "--no-compile").code == 0
    (out / "model.ggdq").write_bytes(b"damaged")
    outcome = cli("evaluate", out, "--data", examples / "digits_test.npz")
    assert outcome.code == 2
    assert outcome.err.count("\n") == 1
    assert "model.ggdq" in outcome.err


def test_damaged_tflite_file(tmp_path: Path, refused: Callable[..., str]) -> None:
    model = tmp_path / "bad.tflite"
    model.write_bytes(b"\x1c\0\0\0TFL3" + b"\xff" * 40)
    line = refused(model)
    assert str(model) in line
    assert "TFLite" in line
