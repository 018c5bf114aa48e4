"""How is a model read that lives in this process? Its configuration as JSON, its weights layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.keras_model import KerasModel, parse_config


def read(model: Any) -> KerasModel:
    """A ``keras.Model`` (of Keras 2 or 3) that has been built."""
    if not hasattr(model, "to_json") or not hasattr(model, "layers"):
        raise GgdqError(f"{type(model).__name__} is neither a path nor a Keras model")
    config = parse_config(model.to_json())
    weights = dict(_weights(model, ()))
    return KerasModel(config, lambda path: weights.get(path, []), 3 if hasattr(model, "jit_compile") else 2)


def _weights(model: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Sequence[Any]]]:
    for layer in model.layers:
        inner = (*path, layer.name)
        if hasattr(layer, "layers"):
            yield from _weights(layer, inner)
        else:
            yield inner, [np.asarray(value) for value in layer.get_weights()]
