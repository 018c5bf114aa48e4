"""Which operators are there? One file each; a file in this folder is an operator, and nothing else lists them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from ggdq_mcu.graph import Operator

__all__ = [
    "keras_layers",
    "keras_operations",
    "onnx_operators",
    "operator_classes",
    "tflite_constants",
    "tflite_kept",
    "tflite_operators",
]


@cache
def operator_classes() -> Mapping[str, type[Operator]]:
    """Every operator class by its class name."""
    found: dict[str, type[Operator]] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.ispkg:
            continue
        members = vars(importlib.import_module(f"{__name__}.{module.name}")).values()
        for member in members:
            if (
                isinstance(member, type)
                and issubclass(member, Operator)
                and member.__module__.endswith(f".{module.name}")
            ):
                found[member.__name__] = member
    return found


def _of_all(attribute: str) -> dict[str, Callable[..., Any]]:
    """A table of every operator class, as one; ValueError where two operators claim a name."""
    found: dict[str, Callable[..., Any]] = {}
    for operator in operator_classes().values():
        for name, convert in getattr(operator, attribute).items():
            if found.setdefault(name, convert) is not convert:
                raise ValueError(f"{attribute} {name!r} of {operator.__name__} is another operator's, too")
    return found


@cache
def keras_layers() -> Mapping[str, Callable[..., Any]]:
    """For every Keras layer class that can be imported, the function that turns it into nodes."""
    return _of_all("keras_layers")


@cache
def tflite_operators() -> Mapping[str, Callable[..., Any]]:
    """For every operator of TFLite that can be imported, the function that turns it into nodes, or gives its value."""
    return {**_of_all("tflite_operators"), **tflite_constants()}


@cache
def tflite_constants() -> Mapping[str, Callable[..., Any]]:
    """For every operator of TFLite that reads shapes and constants alone, the function that gives its value."""
    return _of_all("tflite_constants")


@cache
def tflite_kept() -> Mapping[str, Callable[..., Any]]:
    """For every operator of TFLite whose arithmetic can be kept, the function that turns it into nodes, or gives its value."""
    return {**_of_all("tflite_kept"), **tflite_constants()}


@cache
def onnx_operators() -> Mapping[str, Callable[..., Any]]:
    """For every operator of ONNX that can be imported, the function that turns it into nodes."""
    return _of_all("onnx_operators")


@cache
def keras_operations() -> Mapping[str, Callable[..., Any]]:
    """For every operation of keras.ops that can be imported, the function that turns it into nodes."""
    return _of_all("keras_operations")
