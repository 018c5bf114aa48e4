"""Names are the user's, or an enemy's: whatever they are, the C compiles, computes the same, and stays in its folder."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu import boards
from ggdq_mcu.codegen.names import comment, identifier, unique_identifiers
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.importers import load
from ggdq_mcu.model import QuantizedModel, samples_of
from ggdq_mcu.model import load as load_model
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.pipeline.quantized_project import Quantized, Target, build_quantized
from ggdq_mcu.pipeline.verify import verify
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.level_histogram import level_histograms
from ggdq_mcu.quantization.quantize import quantize
from importers.test_bad_files import layer, model_config, write

HOSTILE = [
    "*/ int stolen; /*",
    '"; } int stolen; //',
    "\n#error stolen\n",
    "\\",
    "??/",
    "../../../stolen",
    "/stolen",
    "C:\\stolen",
    "int",
    "main",
    "invoke",
    "_Static_assert",
    "memcpy",
    "INT32_MAX",
    "kernel_dense_plain",
    "weights",
    "Dense",
    "dense",
    "DENSE",
    "dense_2",
    "",
    " ",
    ".",
    "é😀",
    "\u202e\u2028",
    "\x00\x1b[31m",
    "%s%n",
    "{{ 7 * 7 }}",
    "</table><script>alert(1)</script>",
    "x" * 1_000_000,
]


def network(names: list[str]) -> QuantizedModel:
    """An input called by the first name, and a small layer for each of the others; the last two are added."""
    random = np.random.default_rng(0)
    nodes = [Node(names[0], Input((3,)))]
    for name in names[1:-1]:
        weights = {"kernel": random.normal(size=(3, 3)).astype(np.float32), "bias": np.zeros(3, np.float32)}
        nodes.append(Node(name, Dense(3), (nodes[-1].name,), weights))
    nodes.append(Node(names[-1], Add(), (nodes[-1].name, nodes[-2].name)))
    graph = Graph(names[-1], tuple(nodes), (nodes[-1].name,))
    data = samples_of(random.normal(size=(20, 3)).astype(np.float32), graph)
    calibration = calibrate(graph, data)
    quantized = quantize(graph, calibration)
    levels = level_histograms(quantized, calibration)
    return QuantizedModel(Quantized(graph, quantized, data, "ggd-tuned", "", {}, levels))


def build(model: QuantizedModel, out: Path, name: str = "network") -> Path:
    target = Target(boards.load("host"), out, identifier(name), compile=False)
    return build_quantized(model.made, target).folder


def test_the_c_computes_the_same_whatever_the_layers_are_called(tmp_path: Path) -> None:
    folder = build(network(HOSTILE), tmp_path / "inside" / "project", HOSTILE[0])
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert [path.name for path in (tmp_path / "inside").iterdir()] == ["project"]
    result = verify(folder, ["host", "reference"])
    assert result.equal
    assert result.backends["host"].elements > 100 * 3 * (len(HOSTILE) - 2)
    for path in folder.rglob("*.[ch]"):
        content = path.read_bytes()
        assert len(content) < 100_000
        assert re.fullmatch(rb"[\t\n\x20-\x7e]*", content)
        code = re.sub(r"/\*.*?\*/|\"[^\"\n]*\"", "", content.decode(), flags=re.DOTALL)
        assert "#error" not in code
        assert not re.search(r"\bint stolen", code)


def test_the_tools_read_the_project_again(tmp_path: Path) -> None:
    model = network(HOSTILE)
    folder = build(model, tmp_path / "project")
    names = [entry["name"] for entry in json.loads((folder / "ggdq.json").read_text(encoding="utf-8"))["layers"]]
    assert names == HOSTILE[1:]
    model.save(tmp_path / "model.ggdq")
    assert load_model(folder).network == load_model(tmp_path / "model.ggdq").network == model.network


def test_no_name_gets_into_the_markup_of_a_notebook() -> None:
    assert "<script" not in network(HOSTILE)._repr_html_()


@pytest.mark.parametrize("name", [*HOSTILE[:-1], "x" * 10_000])
def test_layers_of_a_file(tmp_path: Path, name: str) -> None:
    kernel = np.linspace(-1, 1, 9, dtype=np.float32).reshape(3, 3)
    config = model_config(
        layer("InputLayer", "image", [], batch_input_shape=[None, 3]),
        layer("Dense", name, ["image"], units=3, use_bias=False),
    )
    config["config"]["name"] = name
    key = name if re.fullmatch(r"\w+", name) else None
    path = write(tmp_path / "net.h5", config, {key: [kernel]} if key else {})
    if key is None:
        assert_refused(path)
    else:
        assert re.fullmatch(r"[\w.\-/]{1,96}", load(path).nodes[-1].name, re.ASCII)


def assert_refused(path: Path) -> None:
    """A layer whose name HDF5 cannot hold has no weights: one line says so, of printable characters."""
    with pytest.raises(GgdqError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000


TEXTS = st.text(max_size=80) | st.sampled_from(HOSTILE[:-1])


@settings(max_examples=drawn(300))
@given(text=TEXTS)
def test_identifiers_are_identifiers(text: str) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9_]*", identifier(text))
    assert len(identifier(text)) <= 43


@settings(max_examples=drawn(100))
@given(texts=st.lists(TEXTS, unique=True, max_size=12))
def test_identifiers_are_different(texts: list[str]) -> None:
    names = unique_identifiers(texts)
    assert len(set(names.values())) == len(texts)


@settings(max_examples=drawn(500))
@given(text=TEXTS | st.text("*/\\\\?", max_size=8))
@example(text="*\\")
def test_comments_do_not_end_early(text: str) -> None:
    safe = comment(text)
    assert re.fullmatch(r"[ -~]{0,100}", safe)
    assert not any(part in safe for part in ("*/", "/*", "??", "\\"))


@settings(max_examples=drawn(15), suppress_health_check=list(HealthCheck))
@given(names=st.lists(st.text(max_size=20), unique=True, min_size=4, max_size=5))
def test_any_names_at_all(tmp_path_factory: Any, names: list[str]) -> None:
    assert verify(build(network(names), tmp_path_factory.mktemp("any") / "p"), ["host"], count=5).equal
