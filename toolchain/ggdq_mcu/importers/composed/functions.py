"""Functions of keras.ops of one or two tensors, element by element: comparisons, choices, quotients, powers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ggdq_mcu.graph import Node
from ggdq_mcu.importers.keras_known import keras_operations
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.compare import Compare
from ggdq_mcu.operators.extremum import Extremum
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.shared.composition import Composition
from ggdq_mcu.sources.keras import TENSOR, KerasLayer

_COMPARISONS = {
    "Equal": ("equal", "equal"),
    "NotEqual": ("not_equal", "not_equal"),
    "Greater": ("greater", "less"),
    "GreaterEqual": ("greater_equal", "less_equal"),
    "Less": ("less", "greater"),
    "LessEqual": ("less_equal", "greater_equal"),
}


def compared(layer: KerasLayer) -> list[Node]:
    """Comparison of two tensors, or of a tensor and a number: 0 or 1."""
    parts, (first, second) = Composition(layer), _operands(layer)
    function, mirrored = _COMPARISONS[layer.class_name]
    if isinstance(first, str) and isinstance(second, str):
        return parts.done(parts.add(Compare(function), first, second))
    if isinstance(first, str):
        return parts.done(parts.add(Activation(function, _number(layer, second)), first))
    return parts.done(parts.add(Activation(mirrored, _number(layer, first)), str(second)))


def logical(layer: KerasLayer) -> list[Node]:
    """LogicalAnd and LogicalOr, of two tensors, or of a tensor and a number: 0 or 1."""
    parts = Composition(layer)
    tensors, numbers = _split(layer)
    truths = [truth(parts, one) for one in tensors]
    both = layer.class_name == "LogicalAnd"
    if len(truths) == 2:
        return parts.done(parts.add(Multiply() if both else Extremum(), *truths))
    if bool(numbers[0]) == both:
        return parts.done(truths[0])
    return parts.done(parts.affine(truths[0], 0.0, 0.0 if both else 1.0))


def truth(parts: Composition, value: str) -> str:
    """1 where a value is not 0."""
    return parts.add(Activation("not_equal"), value)


def chosen(layer: KerasLayer) -> list[Node]:
    """Where: condition * first + (1 - condition) * second; each a tensor, or second and third a number."""
    parts = Composition(layer)
    if len(layer.arguments) != 3 or layer.arguments[0] is not TENSOR:
        raise layer.error("is not a condition and two values", "compute the condition from a tensor")
    inputs = iter(layer.inputs)
    condition = next(inputs)
    terms = []
    for function, value in zip(("not_equal", "equal"), layer.arguments[1:], strict=True):
        mask = parts.add(Activation(function), condition)
        if value is TENSOR:
            terms.append(parts.add(Multiply(), mask, next(inputs)))
        else:
            terms.append(parts.affine(mask, layer.constant("its argument", value)))
    return parts.done(parts.add(Add(), *terms))


def divided(layer: KerasLayer) -> list[Node]:
    """Division, by a number, or by a tensor by way of a table of reciprocals."""
    parts, (first, second) = Composition(layer), _operands(layer)
    return parts.done(_quotient(layer, parts, first, second))


def _quotient(layer: KerasLayer, parts: Composition, first: Any, second: Any) -> str:
    none = layer.class_name == "DivideNoNan"
    if not isinstance(second, str):
        if none and not np.all(second):
            raise layer.error("divides by 0")
        with np.errstate(divide="ignore"):  # what is not finite is refused
            return parts.affine(first, 1 / second)
    inverse = parts.add(Activation("reciprocal_or_zero" if none else "reciprocal"), second)
    return parts.add(Multiply(), first, inverse) if isinstance(first, str) else parts.affine(inverse, first)


def floor_divided(layer: KerasLayer) -> list[Node]:
    """FloorDivide: the quotient, rounded down."""
    parts, (first, second) = Composition(layer), _operands(layer)
    return parts.done(parts.add(Activation("floor"), _quotient(layer, parts, first, second)))


def remainder(layer: KerasLayer) -> list[Node]:
    """Mod, of a tensor and a number, or of two tensors: first - second * floor(first / second)."""
    parts, (first, second) = Composition(layer), _operands(layer)
    if not isinstance(second, str):
        if not np.all(second):
            raise layer.error("divides by 0")
        return parts.done(parts.add(Activation("modulo", _number(layer, second)), first))
    if not isinstance(first, str):
        raise layer.error("the remainder of a number is not supported", "divide tensors")
    whole = parts.add(Activation("floor"), _quotient(layer, parts, first, second))
    return parts.done(parts.add(Add(signs=(1, -1)), first, parts.add(Multiply(), second, whole)))


def power(layer: KerasLayer) -> list[Node]:
    """Power: a table where the exponent is a number (the square is a product); else exp(exponent * log(base))."""
    parts, (first, second) = Composition(layer), _operands(layer)
    if isinstance(second, str):
        if isinstance(first, str):
            scaled = parts.add(Multiply(), second, parts.add(Activation("logarithm"), first))
        elif _number(layer, first) > 0:
            scaled = parts.affine(second, math.log(_number(layer, first)))
        else:
            raise layer.error("a power of a negative number is not supported", "use a positive base")
        return parts.done(parts.add(Activation("exponential"), scaled))
    exponent = _number(layer, second)
    if exponent == 2:
        return parts.done(parts.add(Multiply(), first, first))
    return parts.done(parts.add(Activation("power", exponent), first))


def hypotenuse(layer: KerasLayer) -> list[Node]:
    """Hypot: the root of the sum of the squares of two tensors."""
    parts = Composition(layer)
    squares = [parts.add(Multiply(), one, one) for one in layer.inputs]
    return parts.done(parts.add(Activation("square_root"), parts.add(Add(), *squares)))


def sum_of_exponentials(layer: KerasLayer) -> list[Node]:
    """Logaddexp of two tensors: the larger, and softplus of minus the distance."""
    parts, (first, second) = Composition(layer), _operands(layer)
    if not (isinstance(first, str) and isinstance(second, str)):
        raise layer.error("of a number is not supported", "use two tensors")
    distance = parts.add(Activation("absolute"), parts.add(Add(signs=(1, -1)), first, second))
    rest = parts.add(Activation("softplus"), parts.affine(distance, -1.0))
    return parts.done(parts.add(Add(), parts.add(Extremum(), first, second), rest))


def limited(layer: KerasLayer) -> list[Node]:
    """Fmax and Fmin: as Maximum and Minimum."""
    class_name = {"Fmax": "Maximum", "Fmin": "Minimum"}[layer.class_name]
    made: list[Node] = keras_operations()[class_name](replace(layer, class_name=class_name))
    return made


def rounded(layer: KerasLayer) -> list[Node]:
    """Round to whole numbers, halves to even ones."""
    if layer.config.get("decimals") not in (None, 0):
        raise layer.error("decimals are not supported", "multiply before, and divide after")
    return [layer.node(Activation("round"))]


def cast(layer: KerasLayer) -> list[Node]:
    """Cast: to floating types nothing changes, to integers values are truncated, to bool they are compared with 0."""
    kind = str(layer.config.get("dtype"))
    if "float" in kind or kind == "None":
        return Composition(layer).done(layer.source)
    return [layer.node(Activation("not_equal" if kind == "bool" else "truncate"))]


def _operands(layer: KerasLayer) -> tuple[Any, Any]:
    """Two arguments: the name of a tensor, or an array of numbers (at least one is a tensor)."""
    inputs = iter(layer.inputs)
    first, second = (next(inputs) if one is TENSOR else one for one in layer.two_arguments())
    return first, second


def _split(layer: KerasLayer) -> tuple[list[str], list[float]]:
    pair = _operands(layer)
    return [one for one in pair if isinstance(one, str)], [
        _number(layer, one) for one in pair if not isinstance(one, str)
    ]


def _number(layer: KerasLayer, value: Any) -> float:
    if np.size(value) != 1:
        raise layer.error("a number for each channel is not supported", "use one number")
    return float(np.ravel(value)[0])


OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(_COMPARISONS, compared),
    **dict.fromkeys(("LogicalAnd", "LogicalOr"), logical),
    **dict.fromkeys(("Divide", "DivideNoNan", "TrueDivide"), divided),
    **dict.fromkeys(("Fmax", "Fmin"), limited),
    "Cast": cast,
    "FloorDivide": floor_divided,
    "Hypot": hypotenuse,
    "Logaddexp": sum_of_exponentials,
    "Mod": remainder,
    "Power": power,
    "Round": rounded,
    "Where": chosen,
}
