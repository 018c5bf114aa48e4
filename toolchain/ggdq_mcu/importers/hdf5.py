"""How is an HDF5 file read that nobody vouches for? Nothing outside of the file is followed, nothing read unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import h5py

from ggdq_mcu.errors import GgdqError


@contextmanager
def opened(file: str | os.PathLike[str] | IO[bytes]) -> Iterator[h5py.File]:
    """The file, open for reading."""
    try:
        handle = h5py.File(file, "r")
    except (OSError, RuntimeError, ValueError) as error:
        raise GgdqError(f"not a readable HDF5 file, or truncated ({error})") from error
    with handle:
        yield handle


def child(group: h5py.Group, name: str) -> Any:
    """The group or data set ``name`` (a path is allowed) under ``group``, or None; links to other files are refused."""
    for part in filter(None, name.split("/")):
        if not isinstance(group, h5py.Group) or part not in group:
            return None
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise GgdqError(f"{name!r} is a link, not a part of the file")
        group = group[part]
    return group


def subgroup(group: h5py.Group, name: str) -> h5py.Group | None:
    """The group ``name`` under ``group``, or None."""
    found = child(group, name)
    return found if isinstance(found, h5py.Group) else None


def dataset(group: h5py.Group, name: str) -> h5py.Dataset:
    """The data set ``name`` under ``group``, its values inside the file."""
    found = child(group, name)
    if not isinstance(found, h5py.Dataset):
        raise GgdqError(f"weight {name!r} is missing from the file")
    if found.external or found.is_virtual:
        raise GgdqError(f"weight {name!r} lies in another file")
    return found


def texts(group: h5py.Group, key: str) -> list[str]:
    """A list of texts among the attributes; long ones lie in parts key0, key1, ..."""
    values: list[Any] = []
    if key in group.attrs:
        values = list(group.attrs[key])
    else:
        part = 0
        while f"{key}{part}" in group.attrs:
            values.extend(group.attrs[f"{key}{part}"])
            part += 1
    return [value.decode("utf8") if isinstance(value, bytes) else str(value) for value in values]
