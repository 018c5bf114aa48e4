"""Which function does a Keras activation stand for? Names, dictionaries and layers of both generations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.sources.keras import KerasLayer


@dataclass(frozen=True)
class Function:
    """A function: "clip", "softmax", "log_softmax" or a key of ``activation.FUNCTIONS``; its parameters, and a clip."""

    name: str
    parameter: float = 0.0
    slope: float = 0.0
    low: float = -math.inf
    high: float = math.inf


#: Functions by Keras' names, with the defaults that Keras gives their parameters.
BY_NAME: Mapping[str, Function] = {
    "linear": Function("clip"),
    "relu": Function("clip", low=0.0),
    "relu6": Function("clip", low=0.0, high=6.0),
    "hard_tanh": Function("clip", low=-1.0, high=1.0),
    "softmax": Function("softmax"),
    "log_softmax": Function("log_softmax"),
    "sigmoid": Function("sigmoid"),
    "tanh": Function("tanh"),
    "leaky_relu": Function("leaky_relu", 0.2),
    "elu": Function("elu", 1.0),
    "selu": Function("selu"),
    "gelu": Function("gelu"),
    "silu": Function("silu"),
    "swish": Function("silu"),
    "softplus": Function("softplus"),
    "softsign": Function("softsign"),
    "hard_sigmoid": Function("hard_sigmoid"),
    "hard_silu": Function("hard_silu"),
    "hard_swish": Function("hard_silu"),
    "log_sigmoid": Function("log_sigmoid"),
    "mish": Function("mish"),
    "exponential": Function("exponential"),
    "celu": Function("celu", 1.0),
    "hard_shrink": Function("hard_shrink", 0.5),
    "soft_shrink": Function("soft_shrink", 0.5),
    "sparse_plus": Function("sparse_plus"),
    "sparse_sigmoid": Function("hard_sigmoid", 0.5),
    "squareplus": Function("squareplus", 4.0),
    "tanh_shrink": Function("tanh_shrink"),
    "threshold": Function("thresholded_relu"),
}
#: Operations of keras.ops that are a table without a parameter.
TABLES: Mapping[str, str] = {
    "Abs": "absolute",
    "Absolute": "absolute",
    "Arctan": "arctangent",
    "Ceil": "ceiling",
    "Cos": "cosine",
    "Cosh": "hyperbolic_cosine",
    "Erf": "erf",
    "Exp2": "exponential_of_2",
    "Expm1": "exponential_less_1",
    "Fabs": "absolute",
    "Floor": "floor",
    "Log": "logarithm",
    "LogicalNot": "equal",
    "Reciprocal": "reciprocal",
    "Rsqrt": "reciprocal_root",
    "Sign": "sign",
    "Sin": "sine",
    "Sinh": "hyperbolic_sine",
    "Sqrt": "square_root",
    "Tan": "tangent",
    "TanhShrink": "tanh_shrink",
    "Trunc": "truncate",
}
#: Operations of keras.ops and the names of their functions.
OPERATIONS: Mapping[str, str] = {
    "Celu": "celu",
    "HardShrink": "hard_shrink",
    "SoftShrink": "soft_shrink",
    "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid",
    "Squareplus": "squareplus",
    "Threshold": "threshold",
    "Elu": "elu",
    "Exp": "exponential",
    "Gelu": "gelu",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "LeakyRelu": "leaky_relu",
    "LogSigmoid": "log_sigmoid",
    "Relu": "relu",
    "Relu6": "relu6",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Silu": "silu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
}
#: Names of the parameters of operations that have one.
_PARAMETERS: Mapping[str, str] = {
    "Celu": "alpha",
    "Elu": "alpha",
    "HardShrink": "threshold",
    "SoftShrink": "threshold",
    "Squareplus": "b",
    "Threshold": "threshold",
}
_KERAS_2_HARD_SIGMOID = Function("hard_sigmoid", 0.2)


def parse(layer: KerasLayer) -> Function:
    """The function of an activation layer, or of a layer's inline ``activation``."""
    if layer.class_name == "ReLU":
        return _relu(layer)
    if layer.class_name == "LeakyReLU":
        slope = layer.number("negative_slope", layer.config.get("alpha", 0.3))
        return Function("leaky_relu", slope)
    if layer.class_name == "ELU":
        return Function("elu", layer.number("alpha", 1.0))
    if layer.class_name == "ThresholdedReLU":
        return Function("thresholded_relu", layer.number("theta", 1.0))
    value = layer.config.get("activation") or "linear"
    return _by_name(layer, value) if isinstance(value, str) else _from_dictionary(layer, value)


def parse_operation(layer: KerasLayer) -> Function:
    """The function of an operation of keras.ops."""
    if layer.class_name in TABLES:
        return Function(TABLES[layer.class_name])
    function = BY_NAME[OPERATIONS[layer.class_name]]
    if layer.class_name == "LeakyRelu":
        return replace(function, parameter=layer.number("negative_slope", 0.2))
    if layer.class_name == "Threshold" and layer.number("default_value", 0.0):
        raise layer.error("a default_value other than 0 is not supported", "use default_value 0")
    if layer.class_name in _PARAMETERS:
        return replace(function, parameter=layer.number(_PARAMETERS[layer.class_name], function.parameter))
    if layer.class_name == "Gelu" and layer.flag("approximate", True):
        return replace(function, name="gelu_tanh")
    return function


def _by_name(layer: KerasLayer, name: str) -> Function:
    if name not in BY_NAME:
        near = "".join(f"nearest: {match}; " for match in get_close_matches(name, BY_NAME, 1))
        raise layer.error(
            f"activation {name[:60]!r} is not supported", f"{near}supported: {', '.join(sorted(BY_NAME))}"
        )
    return _KERAS_2_HARD_SIGMOID if name == "hard_sigmoid" and layer.keras < 3 else BY_NAME[name]


def _from_dictionary(layer: KerasLayer, value: object) -> Function:
    """An activation that is saved as a layer, or as a function of a module."""
    if not isinstance(value, Mapping):
        raise layer.error("its activation is neither a name nor a layer")
    kind, config = value.get("class_name"), value.get("config")
    if "lambda" in str(kind).lower():
        raise _code(layer)
    if kind == "function" and isinstance(config, str) and ">" not in str(value.get("registered_name")):
        return _by_name(layer, config)
    if kind in ("ReLU", "LeakyReLU", "ELU", "ThresholdedReLU", "Activation") and isinstance(config, Mapping):
        return parse(replace(layer, class_name=str(kind), config=config))
    if kind == "Softmax" and isinstance(config, Mapping) and config.get("axis", -1) == -1:
        return Function("softmax")
    raise layer.error(f"activation {str(kind)[:60]!r} is not supported", f"supported: {', '.join(sorted(BY_NAME))}")


def _code(layer: KerasLayer) -> GgdqError:
    return layer.error(
        "its activation is a lambda, and the code of a model file is never run", "use a named activation"
    )


def _relu(layer: KerasLayer) -> Function:
    """Above ``threshold`` x, up to ``max_value``; up to it ``negative_slope`` * (x - threshold)."""
    slope, threshold = layer.number("negative_slope", 0.0), layer.number("threshold", 0.0)
    high = layer.number("max_value", math.inf) if layer.config.get("max_value") is not None else math.inf
    if high < 0:
        raise layer.error(f"max_value {high:g} is negative")
    if min(slope, threshold) < 0 and high < math.inf:
        raise layer.error("max_value with a negative negative_slope or threshold is not supported", "use one of them")
    if threshold:
        return Function("thresholded_relu", threshold, slope, high=high)
    if slope:
        return Function("leaky_relu", slope, high=high)
    return Function("clip", low=0.0, high=high)
