"""Which layers and operations of Keras can be read? Those of operators, and those that are written out in several."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ggdq_mcu import operators
from ggdq_mcu.importers import composed


@cache
def _composed() -> tuple[Any, ...]:
    """The modules of layers that are written out in several operators; a file in that folder is one."""
    return tuple(
        importlib.import_module(f"{composed.__name__}.{module.name}")
        for module in pkgutil.iter_modules(composed.__path__)
    )


@cache
def keras_layers() -> Mapping[str, Callable[..., Any]]:
    """For every Keras layer class that can be imported, the function that turns it into nodes."""
    made = {name: convert for module in _composed() for name, convert in getattr(module, "LAYERS", {}).items()}
    return {**operators.keras_layers(), **made}


@cache
def keras_operations() -> Mapping[str, Callable[..., Any]]:
    """For every operation of keras.ops that can be imported, the function that turns it into nodes."""
    made = {name: convert for module in _composed() for name, convert in getattr(module, "OPERATIONS", {}).items()}
    return {**operators.keras_operations(), **made}
