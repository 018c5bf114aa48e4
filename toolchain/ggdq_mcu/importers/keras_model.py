"""What do all Keras files hold, whatever their format? A configuration, and weights by layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ggdq_mcu.errors import GgdqError

Path = tuple[str, ...]
MAX_TEXT = 1 << 26  # characters of a configuration


@dataclass(frozen=True, eq=False)
class KerasModel:
    """A model as its file describes it.

    ``config`` has Keras' "class_name" and "config"; ``weights(path)`` gives the stored weights of the layer with that
    path (names of the enclosing models, outermost left out, then its own), in Keras' order, not yet read;
    ``keras`` is the generation (2 or 3).
    """

    config: Mapping[str, Any]
    weights: Callable[[Path], Sequence[Any]]
    keras: int


def parse_config(text: str | bytes | Any) -> dict[str, Any]:
    """The configuration of a model from its JSON text."""
    if not isinstance(text, str | bytes) or len(text) > MAX_TEXT:
        raise GgdqError("the model's configuration is not a text of reasonable length")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise GgdqError(f"the model's configuration is not valid JSON ({error})") from error
    if not isinstance(config, dict):
        raise GgdqError("the model's configuration is not a JSON object")
    return config


def generation(version: Any) -> int:
    """Generation of Keras from its version: "2.4.0" is 2; what has no version is older still."""
    text = version.decode("ascii", "replace") if isinstance(version, bytes) else str(version)
    return 3 if text.split(".", maxsplit=1)[0] == "3" else 2
