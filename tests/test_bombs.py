"""Small files that announce much: refused by size, before the memory is taken."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import numpy as np
import pytest

import ggdq_mcu
from ggdq_mcu import GgdqError, storage
from ggdq_mcu.data import load_data
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.importers import load
from ggdq_mcu.operators.input import Input
from importers.test_bad_files import layer, model_config, write

GRAPH = Graph("net", (Node("image", Input((4,))),), ("image",))


@contextmanager
def refused_within(megabytes: int, cause: str) -> Iterator[None]:
    """A GgdqError comes, and no more memory than that was taken before."""
    tracemalloc.start()
    try:
        with pytest.raises(GgdqError, match=cause):
            yield
        assert tracemalloc.get_traced_memory()[1] < megabytes << 20
    finally:
        tracemalloc.stop()


def array(shape: tuple[int, ...], content: bytes = b"") -> bytes:
    """A .npy whose header says float32 of that shape, whatever follows."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue() + content


def archive(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return path


def announce(path: Path, size: int) -> Path:
    """Says in the directory of a zip file that its first member unpacks to ``size`` bytes."""
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, size)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("shape", [(1 << 40, 4), (1 << 33, 4), (1 << 62, 1 << 62), (1000, 4)])
def test_samples_that_are_not_there(tmp_path: Path, shape: tuple[int, ...]) -> None:
    path = archive(tmp_path / "data.npz", x__npy=array(shape, b"\0" * 64))
    with refused_within(5, "an array of shape"):
        load_data(path, GRAPH)


def test_a_header_that_is_no_expression(tmp_path: Path) -> None:
    header = array((4, 4)).replace(b"}", b" ")
    with refused_within(5, "an array without a header"):
        load_data(archive(tmp_path / "data.npz", x__npy=header), GRAPH)


def test_samples_that_unpack_to_gigabytes(tmp_path: Path) -> None:
    path = announce(archive(tmp_path / "data.npz", x__npy=array((4, 4), b"\0" * 64)), 3 << 30)
    with refused_within(5, "more than 1024 MiB"):
        load_data(path, GRAPH)


def test_samples_that_unpack_to_more_than_announced(tmp_path: Path) -> None:
    path = announce(archive(tmp_path / "data.npz", x__npy=array((1 << 22, 4), b"\0" * (1 << 26))), 1 << 12)
    with refused_within(5, "an array of shape|CRC"):
        load_data(path, GRAPH)


def test_saved_networks(tmp_path: Path) -> None:
    path = tmp_path / "net.ggdq"
    storage.save_float(GRAPH, path)
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("0.kernel.npy", array((1 << 36,)))
    with refused_within(5, "an array of shape"):
        storage.load_float(path)
    storage.save_float(GRAPH, path)
    announce(path, 1 << 30)
    with refused_within(5, "too large"):
        storage.load_float(path)


def test_saved_models(tmp_path: Path) -> None:
    path = announce(archive(tmp_path / "model.ggdq", about__json=b"{}"), 1 << 30)
    with refused_within(50, "too large"):
        ggdq_mcu.load(path)


@pytest.mark.parametrize("member", ["config.json", "metadata.json", "model.weights.h5"])
def test_members_of_a_keras_archive(tmp_path: Path, member: str) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in sorted(("config.json", "metadata.json", "model.weights.h5"), key=lambda name: name != member):
            file.writestr(name, b"{}")
    with refused_within(20, f"{member} in it unpacks to"):
        load(announce(path, (1 << 32) - 2))


def test_weights_that_take_no_place_in_the_file(tmp_path: Path) -> None:
    names = [f"dense_{index}" for index in range(3)]
    before = ["image", *names[:-1]]
    config = model_config(
        layer("InputLayer", "image", [], batch_input_shape=[None, 8000]),
        *(
            layer("Dense", name, [source], units=8000, use_bias=False)
            for name, source in zip(names, before, strict=True)
        ),
    )
    path = write(tmp_path / "net.h5", config, {})
    with h5py.File(path, "a") as file:
        for name in names:
            group = file["model_weights"].create_group(name)
            group.attrs["weight_names"] = [b"kernel"]
            group.create_dataset("kernel", (8000, 8000), np.float32, chunks=(1000, 1000), compression="gzip")
    assert path.stat().st_size < 100_000
    with refused_within(1000, "more than 134217728 parameters"):
        load(path)
