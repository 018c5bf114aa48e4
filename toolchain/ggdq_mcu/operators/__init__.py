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


@cache
def keras_layers() -> Mapping[str, Callable[..., Any]]:
    """For every Keras layer class that can be imported, the function that turns it into nodes."""
    return {
        layer: convert for operator in operator_classes().values() for layer, convert in operator.keras_layers.items()
    }


@cache
def tflite_operators() -> Mapping[str, Callable[..., Any]]:
    """For every operator of TFLite that can be imported, the function that turns it into nodes, or gives its value."""
    nodes = {
        kind: convert for operator in operator_classes().values() for kind, convert in operator.tflite_operators.items()
    }
    return {**nodes, **tflite_constants()}


@cache
def tflite_constants() -> Mapping[str, Callable[..., Any]]:
    """For every operator of TFLite that reads shapes and constants alone, the function that gives its value."""
    return {
        kind: compute for operator in operator_classes().values() for kind, compute in operator.tflite_constants.items()
    }


@cache
def tflite_kept() -> Mapping[str, Callable[..., Any]]:
    """For every operator of TFLite whose arithmetic can be kept, the function that turns it into nodes, or gives its value."""
    nodes = {kind: keep for operator in operator_classes().values() for kind, keep in operator.tflite_kept.items()}
    return {**nodes, **tflite_constants()}


@cache
def onnx_operators() -> Mapping[str, Callable[..., Any]]:
    """For every operator of ONNX that can be imported, the function that turns it into nodes."""
    return {
        kind: convert for operator in operator_classes().values() for kind, convert in operator.onnx_operators.items()
    }


@cache
def keras_operations() -> Mapping[str, Callable[..., Any]]:
    """For every operation of keras.ops that can be imported, the function that turns it into nodes."""
    return {
        name: convert for operator in operator_classes().values() for name, convert in operator.keras_operations.items()
    }
