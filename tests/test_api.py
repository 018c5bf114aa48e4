"""The package from Python: the same as the commands, whole in one file, refusing what it does not know."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import ggdq_mcu
from ggdq_mcu import GgdqError, QuantizedModel
from ggdq_mcu.emulation.host import Host
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.pipeline.build import Request, build
from ggdq_mcu.pipeline.evaluate import evaluate
from ggdq_mcu.pipeline.quantized_project import Quantized
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize

EXAMPLES = Path(__file__).parents[1] / "examples"
MODEL, CALIB, TEST = (EXAMPLES / name for name in ("digits.h5", "digits.npz", "digits_test.npz"))


@pytest.fixture(scope="module")
def digits() -> QuantizedModel:
    return ggdq_mcu.quantize(MODEL, CALIB)


@pytest.fixture(scope="module")
def test_data() -> tuple[np.ndarray, np.ndarray]:
    with np.load(TEST) as arrays:
        return arrays["x"], arrays["y"]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = "import sys, ggdq_mcu; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"numpy", "scipy", "h5py", "jinja2", "click", "rich", "platformio", "tensorflow", "keras"}


def test_every_public_name_is_there() -> None:
    assert set(dir(ggdq_mcu)) == set(ggdq_mcu.__all__)
    assert all(getattr(ggdq_mcu, name) is not None for name in ggdq_mcu.__all__)
    with pytest.raises(AttributeError, match="no attribute 'quantise'"):
        _ = ggdq_mcu.quantise  # type: ignore[attr-defined]


@pytest.mark.anew
def test_the_same_project_as_the_command(digits: QuantizedModel, tmp_path: Path) -> None:
    here = digits.build("nucleo", tmp_path / "api", compile=False)
    build(Request(MODEL, "nucleo", tmp_path / "command", CALIB, compile=False))
    ours, theirs = files(tmp_path / "api"), files(tmp_path / "command")
    assert ours.keys() == theirs.keys()
    # The command names the network after --name, the API after the model.
    named = {path for path in ours if ours[path] != theirs[path]}
    assert all(b"digits" in ours[path] or path.endswith(".ggdq") for path in named)
    assert here.folder == tmp_path / "api"


def test_predict_is_what_the_c_computes(digits: QuantizedModel, test_data: Any, tmp_path: Path) -> None:
    x = test_data[0][:5]
    digits.build("host", tmp_path / "p", compile=False)
    integers = digits.network.quantize_inputs({digits.network.inputs[0]: x})
    with Host(tmp_path / "p") as host:
        outputs = host.run([(q,) for q in integers[digits.network.inputs[0]]])
    expected = digits.predict_integers(x)
    assert isinstance(expected, np.ndarray)
    np.testing.assert_array_equal(np.stack([y.reshape(expected.shape[1:]) for (y,) in outputs]), expected)
    format_ = digits.network.by_name[digits.network.outputs[0]].format
    np.testing.assert_array_equal(digits.predict(x), format_.dequantize(expected))


def test_evaluate_is_the_command(digits: QuantizedModel, test_data: Any, tmp_path: Path) -> None:
    x, y = test_data
    project = digits.build("host", tmp_path / "p", compile=False).folder
    assert digits.evaluate(x, y) == digits.evaluate(TEST) == evaluate(project, TEST)
    assert digits.evaluate(TEST, y[::-1]).accuracy != digits.evaluate(TEST).accuracy
    assert digits.evaluate(x).accuracy is None
    assert digits.evaluate(x, np.eye(10)[y]) == digits.evaluate(x, y)


def test_samples_may_be_an_array_a_dictionary_or_a_file(digits: QuantizedModel) -> None:
    with np.load(CALIB) as arrays:
        x = arrays["x"]
    (name,) = digits.network.inputs
    for calib in (x, {name: x}, {"x": x}, str(CALIB)):
        assert ggdq_mcu.quantize(MODEL, calib).network == digits.network
    assert ggdq_mcu.quantize(MODEL, x, count=20).network == ggdq_mcu.quantize(MODEL, x[:20]).network != digits.network
    assert "without data" in ggdq_mcu.quantize(MODEL).description.calibration  # type: ignore[operator]


def test_choices_are_those_of_the_options(digits: QuantizedModel) -> None:
    chosen = ggdq_mcu.quantize(MODEL, CALIB, scheme="minmax", input_formats="u8:0.0625:0", channel_steps=False)
    assert (
        chosen.network
        == ggdq_mcu.quantize(
            MODEL,
            CALIB,
            options=Options("minmax", channel_steps=False),
            input_formats={digits.network.inputs[0]: "u8:0.0625:0"},
        ).network
    )
    assert chosen.description.inputs[0].step == 0.0625
    assert chosen.description.scheme == "minmax"


@pytest.mark.parametrize(
    ("choice", "cause"),
    [
        ({"sceme": "kl"}, "did you mean scheme"),
        ({"scheme": "nonsense"}, "nonsense"),
        ({"bits": 17}, "from 2 to 16"),
        ({"weight_bits": "8"}, "from 2 to 16"),
        ({"xyzzy": 1}, "known: scheme"),
    ],
)
def test_choices_that_do_not_exist_are_refused(choice: dict[str, Any], cause: str) -> None:
    with pytest.raises(GgdqError, match=cause):
        ggdq_mcu.quantize(MODEL, CALIB, **choice)


@pytest.mark.parametrize(
    "x", [np.float32(1), np.zeros((0, 8, 8, 1)), np.zeros((2, 9, 8, 1)), np.full((1, 8, 8, 1), np.nan)]
)
def test_samples_that_do_not_fit_are_refused(digits: QuantizedModel, x: np.ndarray) -> None:
    with pytest.raises(GgdqError, match="the samples"):
        digits.predict(x)


def test_saved_and_loaded_it_is_the_same(digits: QuantizedModel, tmp_path: Path) -> None:
    digits.save(tmp_path / "a.ggdq")
    loaded = QuantizedModel.load(tmp_path / "a.ggdq")
    loaded.save(str(tmp_path / "b.ggdq"))
    assert (tmp_path / "a.ggdq").read_bytes() == (tmp_path / "b.ggdq").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.ggdq", "b.ggdq"]
    assert (loaded.network, loaded.float_network) == (digits.network, digits.float_network)
    assert loaded.evaluate(TEST) == digits.evaluate(TEST)
    digits.build("host", tmp_path / "p", compile=False)
    loaded.build("host", tmp_path / "q", compile=False)
    project, again = files(tmp_path / "p"), files(tmp_path / "q")
    reports = [made.pop("report.html").decode() for made in (project, again)]
    assert project == again
    # The samples that a report is measured on are not kept.
    assert "50 calibration samples" in reports[0]
    assert "10 calibration samples" in reports[1]
    assert ggdq_mcu.load(tmp_path / "p").network == digits.network


def test_without_data_there_are_no_samples_to_keep(tmp_path: Path) -> None:
    ggdq_mcu.quantize(MODEL).save(tmp_path / "a.ggdq")
    assert ggdq_mcu.load(tmp_path / "a.ggdq").made.samples is None


def changed_about(content: bytes, **values: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info, json.dumps(json.loads(data) | values) if info.filename == "about.json" else data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: b"",
        lambda content: content[: len(content) // 2],
        lambda content: content[:3000] + b"\0" * 50 + content[3050:],
        lambda content: changed_about(content, version=2),
        lambda content: changed_about(content, version=[1]),
        lambda content: changed_about(content, kind="other"),
        lambda content: changed_about(content, source=3),
        lambda content: MODEL.read_bytes(),
        lambda content: CALIB.read_bytes(),
    ],
)
def test_files_that_are_not_ours_are_refused(
    digits: QuantizedModel, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "model.ggdq"
    digits.save(path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(GgdqError) as caught:
        ggdq_mcu.load(path)
    assert str(caught.value).startswith(str(path))


def test_a_file_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="no such file"):
        ggdq_mcu.load(tmp_path / "absent.ggdq")
    with pytest.raises(GgdqError, match="not a project"):
        ggdq_mcu.load(tmp_path)


def test_saving_where_nothing_can_be_written(digits: QuantizedModel, tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match="cannot be written"):
        digits.save(tmp_path / "absent" / "model.ggdq")


def test_several_inputs_and_outputs_go_by_name(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weights = {"kernel": random.normal(size=(3, 4)).astype(np.float32), "bias": np.zeros(4, np.float32)}
    nodes = (
        Node("a", Input((3,))),
        Node("b", Input((3,))),
        Node("left", Dense(4), ("a",), weights),
        Node("right", Dense(4), ("b",), weights),
        Node("sum", Add(), ("left", "right")),
    )
    graph = Graph("pair", nodes, ("sum", "left"))
    x = {"a": random.normal(size=(60, 3)).astype(np.float32), "b": random.normal(size=(60, 3)).astype(np.float32)}
    data = ggdq_mcu.model.samples_of(x, graph)
    network = quantize(graph, calibrate(graph, data))
    model = QuantizedModel(Quantized(graph, network, data, "ggd-tuned", "", {}))
    outputs = model.predict(x)
    assert isinstance(outputs, dict)
    assert list(outputs) == ["sum", "left"]
    assert np.abs(outputs["left"] - x["a"] @ weights["kernel"]).max() < 0.1
    with pytest.raises(GgdqError, match="no array 'b'"):
        model.predict({"a": x["a"]})


def test_a_live_keras_model(keras: ModuleType) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.layers.Input((6, 5, 2)), keras.layers.Conv2D(4, 3, activation="relu"), keras.layers.Flatten()],
        name="live",
    )
    x = np.random.default_rng(0).normal(size=(40, 6, 5, 2)).astype(np.float32)
    quantized = ggdq_mcu.quantize(model, x)
    assert quantized.description.name == "live"
    expected = model(x).numpy()
    error = np.asarray(quantized.predict(x)) - expected
    assert 10 * np.log10((expected**2).sum() / (error**2).sum()) > 35


def test_what_is_neither_a_file_nor_a_model_is_refused() -> None:
    with pytest.raises(GgdqError, match="neither a path nor a Keras model"):
        ggdq_mcu.quantize(42)


def test_it_shows_itself_in_a_notebook(digits: QuantizedModel) -> None:
    root = ElementTree.fromstring(digits._repr_html_())
    cells = [cell.text for row in root.iter("tr") for cell in row]
    assert all(layer.name in cells for layer in digits.description.layers)
    assert repr(digits).startswith("QuantizedModel('digits': 9 layers, ")


def test_the_code_in_the_document_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (EXAMPLES.parent / "docs" / "api.md").read_text(encoding="utf-8")
    (tmp_path / "examples").symlink_to(EXAMPLES)
    monkeypatch.chdir(tmp_path)
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    exec(compile(code, "docs/api.md", "exec"), {})
    assert (tmp_path / "firmware" / "lib" / "ggdq_digits").is_dir()
