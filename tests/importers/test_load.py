"""What is read from files, without Keras: the published networks and both generations of the format."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load

KEYWORD_FILES = ("kws_ds_cnn.h5", "kws_ds_cnn.keras", "kws_ds_cnn_keras2.h5")


def test_one_network_in_three_formats_is_one_graph(shared: Path) -> None:
    graphs = [load(shared / "models" / file, "kws") for file in KEYWORD_FILES]
    assert graphs[0] == graphs[1] == graphs[2]
    assert graphs[0].text() == graphs[1].text() == graphs[2].text()


def test_graph_is_named_after_the_file(shared: Path) -> None:
    assert load(shared / "models" / "kws_ds_cnn.keras").name == "kws_ds_cnn"


def test_file_is_told_by_its_content(shared: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model.h5"
    copy.write_bytes((shared / "models" / "kws_ds_cnn.keras").read_bytes())
    assert load(copy, "kws") == load(shared / "models" / "kws_ds_cnn.h5", "kws")


def test_reading_a_file_does_not_start_tensorflow(shared: Path) -> None:
    code = (
        "import sys; from ggdq_mcu.importers import load; load(sys.argv[1]);"
        "assert not {'tensorflow', 'keras', 'pickle5'} & sys.modules.keys()"
    )
    for file in KEYWORD_FILES:
        subprocess.run([sys.executable, "-c", code, str(shared / "models" / file)], check=True)


@pytest.mark.parametrize("file", ["kws_ds_cnn.h5", "resnet8_cifar10.h5"])
def test_text_names_every_node_and_the_outputs(shared: Path, file: str) -> None:
    graph = load(shared / "models" / file)
    lines = graph.text().splitlines()
    assert [line.split(":")[0] for line in lines] == [*graph.by_name, "outputs"]


@pytest.mark.parametrize("content", ["pickle", "archive", "program"])
def test_files_of_pytorch_are_never_loaded(content: str, tmp_path: Path) -> None:
    """Whatever they are called; one line says how to export the network."""
    path = tmp_path / "model.bin"
    if content == "pickle":
        path.write_bytes(b"\x80\x02}q\x00.")
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("model/data.pkl" if content == "archive" else "program/archive_format", b"")
    with pytest.raises(GgdqError, match=r"PyTorch.*never loaded.*torch\.onnx\.export"):
        load(path)


def test_modules_of_pytorch_are_exported_first() -> None:
    module = type("Net", (type("Module", (), {"__module__": "torch.nn.modules.module"}),), {})
    with pytest.raises(GgdqError, match=r"Net: .*torch\.onnx\.export"):
        load(module())
