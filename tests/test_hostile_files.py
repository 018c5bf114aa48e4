"""Files that somebody has damaged, on purpose or not: read, or refused in one line, in time and in little memory."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ggdq_mcu
from fuzzing import CHANGES, Change, damaged, damaged_member, little_memory, little_time
from ggdq_mcu import GgdqError, QuantizedModel
from ggdq_mcu.data import load_data
from ggdq_mcu.importers import load
from ggdq_mcu.importers.saved_model import check, parsed
from ggdq_mcu.pipeline.project import open_project
from importers.test_bad_files import WEIGHTS, WHOLE, write

EXAMPLES = Path(__file__).parents[1] / "examples"
NIGHTLY = 50  # times as many
Reader = Callable[[Path], object]


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Good files, by kind."""
    folder = tmp_path_factory.mktemp("seeds")
    model = write(folder / "net.h5", WHOLE, {**WEIGHTS, "dense": [np.zeros((3, 2), np.float32)]})
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        for name, arrays in {**WEIGHTS, "dense": [np.zeros((3, 2), np.float32)]}.items():
            for number, array in enumerate(arrays):
                file[f"layers/{name}/vars/{number}"] = array
    with zipfile.ZipFile(folder / "net.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(WHOLE))
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("model.weights.h5", weights.getvalue())
    samples = np.random.default_rng(0).normal(size=(20, 6, 5, 2)).astype(np.float32)
    np.savez(folder / "x.npz", x=samples, y=np.arange(20) % 2)
    quantized = ggdq_mcu.quantize(model, samples)
    quantized.save(folder / "net.ggdq")
    project = quantized.build("host", folder / "project", compile=False).folder
    return {"h5": model, "keras": folder / "net.keras", "npz": folder / "x.npz", "ggdq": folder / "net.ggdq",
            "project": project}  # fmt: skip


def refused_or_read(path: Path, read: Reader) -> None:
    """What is left of the file is read, or one line says why not."""
    try:
        with little_time():
            read(path)
    except GgdqError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000


def fuzz(seed: Path, folder: Path, read: Reader, count: int, is_archive: bool = False) -> None:
    """Reads ``count`` damaged copies of a file."""
    content = seed.read_bytes()
    path = folder / seed.name

    @settings(max_examples=count, suppress_health_check=list(HealthCheck))
    @given(changes=CHANGES, member=st.none() | st.floats(0, 1, exclude_max=True))
    def each(changes, member: float | None) -> None:
        inside = is_archive and member is not None
        path.write_bytes(damaged_member(content, member, changes) if inside else damaged(content, changes))
        refused_or_read(path, read)

    with little_memory():
        each()
    assert {file.name for file in folder.iterdir()} == {seed.name}  # nothing was written beside it


COUNTS = {"h5": 500, "keras": 500, "npz": 500, "ggdq": 400}


@pytest.mark.parametrize("times", [1, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("kind", COUNTS)
def test_damaged_files(seeds: dict[str, Path], kind: str, times: int, tmp_path: Path) -> None:
    graph = load(seeds["h5"])
    readers: dict[str, Reader] = {
        "npz": lambda path: load_data(path, graph),
        "ggdq": lambda path: QuantizedModel.load(path).description,
    }
    fuzz(seeds[kind], tmp_path, readers.get(kind, load), COUNTS[kind] * times, is_archive=kind != "h5")


@pytest.mark.parametrize("times", [1, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
@pytest.mark.parametrize(
    "name", ["ggdq.json", "model.ggdq", "float.ggdq", "samples.npz", "expected.npz", "levels.json"]
)
def test_damaged_projects(seeds: dict[str, Path], name: str, times: int, tmp_path: Path) -> None:
    for path in seeds["project"].iterdir():
        if path.is_file():
            (tmp_path / path.name).write_bytes(path.read_bytes())
    good = (tmp_path / name).read_bytes()

    def read(_: Path) -> None:
        project = open_project(tmp_path)
        assert project.network
        project.samples()
        project.expected()
        project.levels()

    @settings(max_examples=20 * times, suppress_health_check=list(HealthCheck))
    @given(changes=CHANGES, member=st.none() | st.floats(0, 1, exclude_max=True))
    def each(changes, member: float | None) -> None:
        inside = member is not None and not name.endswith(".json")
        (tmp_path / name).write_bytes(damaged_member(good, member, changes) if inside else damaged(good, changes))
        refused_or_read(tmp_path, read)

    with little_memory():
        each()


@pytest.mark.parametrize("times", [1, pytest.param(NIGHTLY, marks=pytest.mark.nightly)])
def test_damaged_saved_models(keras: ModuleType, times: int, tmp_path: Path) -> None:
    x = keras.Input((6, 5, 2))
    pooled = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(3, 3, activation="relu")(x))
    keras.Model(x, keras.layers.Dense(2, activation="softmax")(pooled)).export(tmp_path / "model", verbose=False)
    files = ["saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"]
    good = {name: (tmp_path / "model" / name).read_bytes() for name in files}
    before = sorted((tmp_path / "model").rglob("*"))

    @settings(max_examples=60 * times, suppress_health_check=list(HealthCheck))
    @given(changes=CHANGES, name=st.sampled_from(files))
    def each(changes, name: str) -> None:
        for other, content in good.items():
            (tmp_path / "model" / other).write_bytes(damaged(content, changes) if other == name else content)
        refused_or_read(tmp_path / "model" / files[0], lambda file: check(parsed(file.read_bytes())))

    each()
    assert sorted((tmp_path / "model").rglob("*")) == before
    # The index is whole, a variable's bytes are not.
    flips = [Change("flip", 0.0, 1, b"\0"), Change("flip", 0.25, 1, b"\0")]
    for name, content in good.items():
        (tmp_path / "model" / name).write_bytes(damaged(content, flips) if name == files[2] else content)
    with pytest.raises(GgdqError, match="cannot be converted"):
        load(tmp_path / "model")


def test_the_line_is_short_whatever_the_file_says(seeds: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(seeds["npz"].read_bytes())
    content[26:28] = b"\xff\x0f"  # the length of the first member's name
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(GgdqError, match="not a readable") as caught:
        load_data(tmp_path / "x.npz", load(seeds["h5"]))
    assert len(str(caught.value)) < 1700 + len(str(tmp_path))


@pytest.mark.parametrize("field", [6, 10])  # of a zip's directory: version needed, compression
@pytest.mark.parametrize("kind", ["keras", "npz", "ggdq"])
def test_zips_that_no_library_reads(seeds: dict[str, Path], kind: str, field: int, tmp_path: Path) -> None:
    content = bytearray(seeds[kind].read_bytes())
    place = content.index(b"PK\x01\x02") + field
    content[place : place + 2] = b"\xff\xff"
    path = tmp_path / seeds[kind].name
    path.write_bytes(content)
    graph = load(seeds["h5"])
    readers: dict[str, Reader] = {"npz": lambda path: load_data(path, graph), "ggdq": QuantizedModel.load}
    with pytest.raises(GgdqError):
        readers.get(kind, load)(path)
