"""Which samples does a caller give? Arrays, files, and whatever yields samples or batches, checked against the network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet, checked_labels, data_set, load_data
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph

Array = NDArray[Any]
#: A path of a .npz, an array (N, ...), arrays by input name, a pair (x, y), or an iterable of samples or batches of these
#: (a generator, tf.data.Dataset, torch DataLoader or Dataset).
Samples = str | os.PathLike[str] | Array | Mapping[str, Any] | tuple[Any, Any] | Iterable[Any]
_MOST_BYTES = 1 << 30
_WHERE = "the samples"


def samples_of(given: Samples, graph: Graph, y: Any = None, count: int | None = None) -> DataSet:
    """The first ``count`` samples (None: all) and their labels, from what a caller gives; ``y``: labels, if not in it.

    GgdqError for what is none of these or does not fit the network. Of an iterable no more is read than ``count`` asks for.
    """
    if isinstance(given, str | os.PathLike):
        data = load_data(Path(given), graph)
        data = data if y is None else replace(data, labels=checked_labels(_array(y), len(data), data.source))
        return data if count is None else data.first(count)
    if _is_pair(given) and not _is_sample(given, graph):
        pair: Any = given
        given, y = pair[0], pair[1] if y is None else y
    if isinstance(given, Mapping):
        arrays = {name: _array(value) for name, value in given.items()}
    elif hasattr(given, "__array__") or (isinstance(given, Sequence) and not _is_pair(next(iter(given), None))):
        arrays = {"x": _array(given)}
    elif isinstance(given, Iterable) or hasattr(given, "__getitem__"):
        arrays = _collected(given, graph, count)
    else:
        raise GgdqError(f"{type(given).__name__} is none", _WHERE, "give an array, a .npz, or what yields samples")
    if y is not None:
        arrays["y"] = _array(y)
    data = data_set(arrays, graph, _WHERE)
    return data if count is None else data.first(count)


def _collected(given: Any, graph: Graph, count: int | None) -> dict[str, Array]:
    """Samples or batches of them, one after the other, as arrays by name; "x" and "y" where they have no names."""
    parts: dict[str, list[Array]] = {}
    have = size = 0
    items = given if hasattr(given, "__iter__") else (given[index] for index in range(len(given)))
    for item in islice(items, count):  # at least one sample each
        named = _named(item, graph)
        if parts and named.keys() != parts.keys():
            raise GgdqError("its items have different parts", _WHERE, "let each have the same inputs and labels")
        for name, value in named.items():
            parts.setdefault(name, []).append(value)
            size += value.nbytes
        if size > _MOST_BYTES:
            raise GgdqError(f"more than {_MOST_BYTES >> 20} MiB of samples", _WHERE, "give fewer, or count=200")
        have += len(next(iter(named.values())))
        if count is not None and have >= count:
            break
    if not parts:
        raise GgdqError("there is no sample", _WHERE, "give 100 to 200; a generator can be read once only")
    try:
        return {name: np.concatenate(values) for name, values in parts.items()}
    except ValueError as error:
        raise GgdqError(f"they have different shapes ({error})", _WHERE) from error


def _named(item: Any, graph: Graph) -> dict[str, Array]:
    """The arrays of an item, with the samples along their first axis, which a single sample gets."""
    x, y = item if _is_pair(item) and not _is_sample(item, graph) else (item, None)
    arrays = {name: _array(value) for name, value in x.items()} if isinstance(x, Mapping) else {"x": _array(x)}
    first = next((name for name in arrays if name in graph.inputs), "x")
    shape = graph.shapes[first if first in graph.inputs else graph.inputs[0]]
    if first not in arrays:
        raise GgdqError(f"an item has no {graph.inputs[0]!r}", _WHERE, f"inputs: {', '.join(graph.inputs)}")
    value = arrays[first]
    without_channel = shape[-1:] == (1,) and value.shape[1:] == shape[:-1]
    single = value.ndim <= len(shape) and not without_channel
    if y is not None:
        arrays["y"] = _array(y)
    return {name: array[None] if single else array for name, array in arrays.items()}


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple | list) and len(given) == 2 and not isinstance(given[0], int | float | str)


def _is_sample(given: Any, graph: Graph) -> bool:
    """Are two nested lists a sample of two rows rather than inputs and labels?"""
    return isinstance(given, list) and not hasattr(given[0], "__array__") and graph.shapes[graph.inputs[0]][:1] == (2,)


def _array(value: Any) -> Array:
    """NumPy's array of an array of NumPy, TensorFlow or PyTorch, or of nested sequences."""
    for method in ("detach", "cpu", "numpy"):  # of a tensor of PyTorch; TensorFlow has the last
        if not isinstance(value, np.ndarray) and hasattr(value, method):
            value = getattr(value, method)()
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise GgdqError(f"they make no array ({error})", _WHERE, "give all samples the same shape") from error
