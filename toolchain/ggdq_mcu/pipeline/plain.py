"""How do results become JSON? Dataclasses to dictionaries; numbers that JSON has no word for become null."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any


def to_plain(value: Any) -> Any:
    """What ``json.dumps`` takes, from dataclasses, mappings, sequences, paths and numbers.

    >>> to_plain({"sqnr_db": float("inf"), "path": Path("a/b")})
    {'sqnr_db': None, 'path': 'a/b'}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
