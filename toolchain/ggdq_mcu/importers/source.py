"""Which format is a model in? Told by the content of the file, not by its name."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ggdq_mcu.archives import DAMAGED
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.importers import keras_archive, keras_h5, keras_live, saved_model, tflite, tflite_file, tflite_kept
from ggdq_mcu.importers.builder import build
from ggdq_mcu.importers.keras_model import KerasModel
from ggdq_mcu.importers.onnx_model import load_onnx
from ggdq_mcu.importers.shapes import InputShapes
from ggdq_mcu.sources.tflite_kept import WITHOUT

_HDF5 = b"\x89HDF\r\n\x1a\n"
_PICKLE = b"\x80"  # as the protocols from 2 on begin
_EXPORT = 'export it where it was made: torch.onnx.export(model.eval(), (example,), "model.onnx")'
_ZIP = b"PK\x03\x04"


def load_file(path: Path, name: str | None = None, shapes: InputShapes | None = None) -> Graph:
    """The graph of a model file or SavedModel folder; every error names the file."""
    with _named(path):
        if path.is_dir():
            if shapes:
                raise GgdqError("input shapes cannot be given for a SavedModel", fix="convert it to .keras or .tflite")
            return saved_model.read(path, name or path.name)
        if path.is_file() and tflite_file.is_tflite(path):
            return tflite.read(path, name or path.stem, shapes)
        if _is_onnx(path):
            return load_onnx(path, name or path.stem, shapes)
        with _reader(path)(path) as model:
            return build(model, name or path.stem, shapes)


def load_kept(path: Path, name: str | None = None, micro: bool = True) -> tuple[Graph, QuantizedGraph]:
    """A quantized TFLite network in real numbers and in its own integers; every error names the file."""
    with _named(path):
        if not path.exists():
            raise GgdqError("no such file")
        if not path.is_file() or not tflite_file.is_tflite(path):
            raise GgdqError("is no TFLite file, so there is no quantization to keep", fix=WITHOUT)
        return tflite_kept.read(path, name or path.stem, micro)


def is_quantized(path: Path) -> bool:
    """Is it a TFLite file in which no operator but those at its ends computes with real numbers?"""
    return path.is_file() and tflite_file.is_tflite(path) and tflite_kept.is_quantized(tflite_file.read(path))


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Errors that name the file."""
    try:
        yield
    except GgdqError as error:
        raise error.inside(str(path)) from error
    except DAMAGED as error:
        raise GgdqError(f"damaged or malformed model file ({type(error).__name__}: {error})", str(path)) from error


def load_live(model: Any, name: str | None = None, shapes: InputShapes | None = None) -> Graph:
    """The graph of a ``keras.Model``."""
    if type(model).__module__.split(".")[0] == "torch" or any(
        base.__module__.startswith("torch.nn") for base in type(model).__mro__
    ):
        raise GgdqError("a module of PyTorch cannot be read from memory", type(model).__name__, _EXPORT)
    return build(keras_live.read(model), name or str(model.name), shapes)


def _is_onnx(path: Path) -> bool:
    """Has it ONNX's ending, or does it begin with the version of ONNX's format, as such files do?"""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        start = file.read(2)
    return path.suffix.lower() == ".onnx" or (start[:1] == b"\x08" and len(start) == 2 and 1 <= start[1] < 32)


def _is_torch(path: Path, start: bytes) -> bool:
    """Is it a pickle, or an archive with one or of an exported program, as torch.save, jit.save and export.save write?"""
    if not start.startswith(_ZIP):
        return start[:1] == _PICKLE
    with zipfile.ZipFile(path) as archive:
        names = {name.rsplit("/", 1)[-1] for name in archive.namelist()}
    return bool(names & {"data.pkl", "archive_format", "serialized_exported_program.json"})


def _reader(path: Path) -> Callable[[Path], AbstractContextManager[KerasModel]]:
    if not path.exists():
        raise GgdqError("no such file")
    with path.open("rb") as file:
        start = file.read(len(_HDF5))
    if start == _HDF5:
        return keras_h5.opened
    if _is_torch(path, start):
        raise GgdqError("is a file of PyTorch, which may run code and is never loaded", fix=_EXPORT)
    if start.startswith(_ZIP):
        return keras_archive.opened
    raise GgdqError(
        "not a model", fix="give a .h5 or .keras file as model.save() writes it, or a .tflite or .onnx file"
    )
