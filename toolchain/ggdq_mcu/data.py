"""What do the user's samples look like? Data files, read with care: they are as untrusted as models."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.archives import DAMAGED
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.npy import read_array
from ggdq_mcu.operators.input import Input

Array = NDArray[Any]
BATCH = 50
_MOST_BYTES = 1 << 30
_DAMAGED: tuple[type[Exception], ...] = (*DAMAGED, SyntaxError, TokenError)  # an array's header is parsed as Python


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples by input name, (N, ...) each, and the labels (N, ...) where they are known: classes or one-hot.

    ``turned``: the file has the channels first, as the model that the network comes from; here they are last.
    """

    samples: Mapping[str, Array]
    labels: Array | None = None
    source: str = ""
    turned: bool = False

    def __len__(self) -> int:
        return len(next(iter(self.samples.values())))

    def batches(self, size: int = BATCH) -> Iterator[dict[str, Array]]:
        """The samples in float32, ``size`` at a time."""
        for start in range(0, len(self), size):
            yield {name: x[start : start + size].astype(np.float32) for name, x in self.samples.items()}

    def first(self, count: int) -> DataSet:
        """The first ``count`` samples."""
        return self.slice(0, count)

    def slice(self, start: int, stop: int) -> DataSet:
        """Samples ``start`` to ``stop``."""
        labels = None if self.labels is None else self.labels[start:stop]
        return replace(self, samples={name: x[start:stop] for name, x in self.samples.items()}, labels=labels)

    @property
    def note(self) -> str:
        """What a user should know of how the samples were read, in one line; or nothing."""
        return (
            f"{self.source or 'samples'}: channels first, as in the model; the network takes them last"
            if self.turned
            else ""
        )


def load_data(path: str | Path, graph: Graph) -> DataSet:
    """Read a .npz: array ``x`` (N, ...) for a network of one input, else one array an input; optionally ``y``.

    Where the network's model has the channels first, the arrays may have them first too.
    """
    where = f"data file {path}"
    return data_set(read_arrays(Path(path), where), graph, where, str(path))


def data_set(arrays: Mapping[str, Array], graph: Graph, where: str, source: str = "") -> DataSet:
    """The samples in ``arrays``, named as in a data file; GgdqError where they do not fit the network."""
    names = graph.inputs
    if len(names) == 1 and names[0] not in arrays:
        samples = {names[0]: _required(arrays, "x", where)}
    else:
        samples = {name: _required(arrays, name, where) for name in names}
    given = samples
    samples = {name: _checked(x, graph, name, where) for name, x in given.items()}
    turned = any(samples[name].shape[1:] != x.shape[1:] and x.ndim > 1 for name, x in given.items())
    count = len(samples[names[0]])
    if any(len(x) != count for x in samples.values()):
        raise GgdqError("the inputs have different numbers of samples", where)
    labels = checked_labels(arrays["y"], count, where) if "y" in arrays else None
    return DataSet(samples, labels, source, turned)


def checked_labels(labels: Array, count: int, where: str) -> Array:
    """The labels (N, ...) of ``count`` samples."""
    if labels.ndim == 0 or labels.dtype.kind not in "biuf":
        raise GgdqError("the labels y are not numbers, one a sample", where, "give the class of each sample")
    if len(labels) != count:
        raise GgdqError(f"{count} samples but {len(labels)} labels", where)
    return labels


def _checked(x: Array, graph: Graph, name: str, where: str) -> Array:
    shape, operator = graph.shapes[name], graph.by_name[name].operator
    if x.ndim == 0:
        raise GgdqError("the samples are one number", where)
    if isinstance(operator, Input) and operator.channels_first and x.shape[1:] == (shape[-1], *shape[:-1]):
        x = np.moveaxis(x, 1, -1)
    if x.ndim == len(shape) and (*x.shape, 1) == (len(x), *shape):
        x = x[..., None]
    if x.shape[1:] != shape:
        raise GgdqError(f"samples have shape {x.shape[1:]}, the network takes {shape}", where)
    if len(x) == 0:
        raise GgdqError("there is no sample in it", where)
    if not (np.issubdtype(x.dtype, np.floating) or np.issubdtype(x.dtype, np.integer) or x.dtype == np.bool_):
        raise GgdqError(f"samples of type {x.dtype}", where, "give float32 or uint8")
    if np.issubdtype(x.dtype, np.floating) and not np.isfinite(x).all():
        sample = int(np.argmin(np.isfinite(x.reshape(len(x), -1)).all(axis=1)))
        raise GgdqError(f"sample {sample} has a value that is NaN or infinite", where)
    return x


def channels_as_in_model(x: Array, graph: Graph, name: str) -> Array:
    """Samples of the input ``name`` as the model that the network comes from takes them."""
    operator = graph.by_name[name].operator
    return np.moveaxis(x, -1, 1) if isinstance(operator, Input) and operator.channels_first else x


def _required(arrays: Mapping[str, Array], name: str, where: str) -> Array:
    if name not in arrays:
        raise _missing(name, arrays, where)
    return arrays[name]


def _missing(name: str, found: Iterable[str], where: str) -> GgdqError:
    return GgdqError(f"no array {name!r} in it (found: {', '.join(sorted(found)) or 'none'})", where)


def read_arrays(file: Path | BinaryIO, where: str) -> dict[str, Array]:
    """The arrays of a .npz by name; GgdqError for what is no .npz or unpacks to too much."""
    with _readable(file, where) as archive:
        members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
        if sum(info.file_size for info in members) > _MOST_BYTES:
            raise GgdqError(f"more than {_MOST_BYTES >> 20} MiB of samples", where, "give fewer samples")
        arrays = {}
        for info in members:
            with archive.open(info) as member:
                arrays[info.filename[:-4]] = read_array(member, info.file_size)
        return arrays


@contextmanager
def _readable(path: Path | BinaryIO, where: str) -> Iterator[zipfile.ZipFile]:
    """The opened file; whatever is wrong with it becomes a GgdqError."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except FileNotFoundError as error:
        raise GgdqError("no such file", where) from error
    except IsADirectoryError as error:
        raise GgdqError("is a folder", where, "give a .npz file") from error
    except _DAMAGED as error:
        raise GgdqError(f"not a readable .npz ({error})", where, "write it with numpy.savez(x=..., y=...)") from error


def stream_data(path: str | Path, graph: Graph, size: int = BATCH) -> Iterator[dict[str, Array]]:
    """The samples of a .npz, ``size`` at a time by input name, in their own type; memory for these alone is needed.

    The same files as for ``load_data``, however large; the labels are left alone.
    """
    where = f"data file {path}"
    names = graph.inputs
    with _readable(Path(path), where) as archive:
        found = {info.filename[:-4] for info in archive.infolist() if info.filename.endswith(".npy")}
        only = len(names) == 1 and names[0] not in found
        members = {name: _Member(archive, "x" if only else name, found, where) for name in names}
        counts = {member.count for member in members.values()}
        if len(counts) != 1:
            raise GgdqError("the inputs have different numbers of samples", where)
        for start in range(0, counts.pop(), size):
            parts = {name: member.read(min(size, member.count - start)) for name, member in members.items()}
            yield {name: _checked(part, graph, name, where) for name, part in parts.items()}


class _Member:
    """An array in a .npz that is read sample by sample."""

    def __init__(self, archive: zipfile.ZipFile, name: str, found: set[str], where: str) -> None:
        if name not in found:
            raise _missing(name, found, where)
        self._file = archive.open(f"{name}.npy")
        version = np.lib.format.read_magic(self._file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, self._dtype = read(self._file)
        if (fortran and len(shape) > 1) or self._dtype.hasobject or not shape:
            raise GgdqError(f"array {name!r} does not lie sample by sample", where, "write it with numpy.savez")
        if shape[0] == 0:
            raise GgdqError("there is no sample in it", where)
        self.count, self._shape = int(shape[0]), shape[1:]

    def read(self, count: int) -> Array:
        """The next ``count`` samples."""
        size = count * int(np.prod(self._shape)) * self._dtype.itemsize
        content = self._file.read(size)
        if len(content) != size:
            raise EOFError("it ends too early")
        return np.frombuffer(content, self._dtype).reshape(count, *self._shape)
