"""How does Keras lay out a model in a .keras archive? JSON for the layers, HDF5 for the weights, in a zip file."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import hdf5
from ggdq_mcu.importers.keras_model import MAX_TEXT, KerasModel, generation, parse_config
from ggdq_mcu.importers.topology import layer_name

_MAX_WEIGHTS = 1 << 29  # bytes of the weights' file
_ATTENTION = ("query_dense", "key_dense", "value_dense", "output_dense")
_GROUPED_ATTENTION = ("_query_dense", "_key_dense", "_value_dense", "_output_dense")
_WRAPPED = ("cell", "forward_layer", "backward_layer", "layer", *_ATTENTION, *_GROUPED_ATTENTION)
_NETWORKS = ("Functional", "Model", "Sequential")


@contextmanager
def opened(path: Path) -> Iterator[KerasModel]:
    """The model in a .keras archive, readable inside the ``with``."""
    with zipfile.ZipFile(path) as archive:
        config = parse_config(_member(archive, "config.json", MAX_TEXT))
        metadata = parse_config(_member(archive, "metadata.json", MAX_TEXT))
        weights = io.BytesIO(_member(archive, "model.weights.h5", _MAX_WEIGHTS))
    with hdf5.opened(weights) as file:
        groups = dict(_layer_groups(file, config, ()))
        yield KerasModel(config, lambda path: _weights(groups, path), generation(metadata.get("keras_version", "3")))


def _member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    try:
        size = archive.getinfo(name).file_size
    except KeyError as error:
        raise GgdqError(f"holds no {name}", "save the model with model.save('NAME.keras')") from error
    if size > limit:
        raise GgdqError(f"{name} in it unpacks to {size} bytes, more than {limit}")
    return archive.read(name)


def _layer_groups(
    group: h5py.Group, config: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], h5py.Group]]:
    """Every layer's path and the group that holds its variables.

    Groups are named by class and counter. Keras writes the layer's name beside the variables since 3.6; older files
    are read by counting the layers of each class in the order of the configuration.
    """
    layers = hdf5.subgroup(group, "layers") or hdf5.subgroup(group, "_layer_checkpoint_dependencies")
    if layers is None:
        return
    members = {key: member for key in layers if (member := hdf5.subgroup(layers, key)) is not None}
    by_name = {_name(member): member for member in members.values()}
    counters: dict[str, int] = {}
    inner = config.get("config", {})
    for layer in inner.get("layers", []) if isinstance(inner, Mapping) else inner:
        if str(layer.get("module", "")).startswith("keras.src.ops"):
            continue
        name = layer_name(layer)
        kind = _snake_case(layer["class_name"])
        count = counters[kind] = counters.get(kind, -1) + 1
        member = by_name.get(name) if None not in by_name else members.get(f"{kind}_{count}" if count else kind)
        if member is None:
            continue
        yield (*path, name), member
        if layer["class_name"] in _NETWORKS:
            yield from _layer_groups(member, layer, (*path, name))


def _name(group: h5py.Group) -> str | None:
    """The layer's name as the file tells it, or None."""
    variables = hdf5.subgroup(group, "vars")
    name = None if variables is None else variables.attrs.get("name")
    return name.decode("utf8") if isinstance(name, bytes) else name


def _snake_case(name: str) -> str:
    """Keras' own spelling of a class name: DepthwiseConv2D is depthwise_conv2d."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def _weights(groups: Mapping[tuple[str, ...], h5py.Group], path: tuple[str, ...]) -> Sequence[Any]:
    return list(_variables(groups[path])) if path in groups else []


def _variables(group: h5py.Group) -> Iterator[h5py.Dataset]:
    """The variables of a layer, then those of the layers that it wraps, in Keras' order."""
    variables = hdf5.subgroup(group, "vars")
    for index in range(0 if variables is None else len(variables)):
        yield hdf5.dataset(variables, str(index))
    for part in _WRAPPED:
        inner = hdf5.subgroup(group, part)
        if inner is not None:
            yield from _variables(inner)
