"""How does Keras lay out a model in one HDF5 file? The format of Keras 2, which Keras 3 still writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import hdf5
from ggdq_mcu.importers.keras_model import KerasModel, generation, parse_config


@contextmanager
def opened(path: Path) -> Iterator[KerasModel]:
    """The model in an HDF5 file, readable inside the ``with``."""
    with hdf5.opened(path) as file:
        if "model_config" not in file.attrs:
            raise GgdqError(
                "holds no model configuration", "save the whole model with model.save(), not only its weights"
            )
        config = parse_config(file.attrs["model_config"])
        group = hdf5.subgroup(file, "model_weights")
        if group is None:
            raise GgdqError("holds no weights", "save the whole model with model.save()")
        version = file.attrs.get("keras_version", group.attrs.get("keras_version", "2"))
        yield KerasModel(config, lambda path: _weights(group, path), generation(version))


def _weights(group: h5py.Group, path: tuple[str, ...]) -> Sequence[Any]:
    """Weights of one layer. Those of a nested model lie in one list, told apart by their names."""
    top = hdf5.subgroup(group, path[0])
    if top is None:
        return []
    names = hdf5.texts(top, "weight_names")
    if len(path) > 1:
        names = _of_layer(names, path)
    return [hdf5.dataset(top, name) for name in names]


def _of_layer(names: list[str], path: tuple[str, ...]) -> list[str]:
    """Those of ``names`` (like inner/conv2d/kernel:0) that belong to the layer with the path (outer, inner, conv2d)."""
    layer = path[-1].split("/")
    owners = {name: name.split("/")[:-1] for name in names}
    found = {name: owner for name, owner in owners.items() if owner[-len(layer) :] == layer}
    if not found:  # the layer wraps others: inner/lstm/lstm_cell/kernel:0
        wrapped = {name: owner[: _end(owner, layer)] for name, owner in owners.items()}
        found = {name: owner for name, owner in wrapped.items() if owner}
    prefixes = {tuple(owner[: -len(layer)]) for owner in found.values()}
    if len(prefixes) > 1:
        # Equal names in several nested models: the owner's path ends with as much of the layer's path as possible.
        best = max(prefixes, key=lambda prefix: _common_end(prefix, path[:-1]))
        found = {name: owner for name, owner in found.items() if tuple(owner[: -len(layer)]) == best}
    return list(found)


def _end(owner: list[str], layer: list[str]) -> int:
    """Where in the path ``owner`` the path ``layer`` ends for the last time; 0 where it is not in it."""
    ends = range(len(owner), len(layer) - 1, -1)
    return next((end for end in ends if owner[end - len(layer) : end] == layer), 0)


def _common_end(a: Sequence[str], b: Sequence[str]) -> tuple[int, int]:
    """How many last components two paths share; among equals the shorter first path is the larger."""
    count = 0
    while count < min(len(a), len(b)) and a[-1 - count] == b[-1 - count]:
        count += 1
    return count, -len(a)
