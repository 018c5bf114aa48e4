"""How does a recurrent layer of Keras become nodes? Its options, its weights, its outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Shape
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.shared.recurrent import RECURRENT_FUNCTIONS, Recurrent
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.sources.keras import KerasLayer, Outputs
from ggdq_mcu.sources.keras_activation import Function, parse

_CLIPS = {
    (-math.inf, math.inf): "linear",
    (0.0, math.inf): "relu",
    (0.0, 6.0): "relu6",
    (-1.0, 1.0): "hard_tanh",
}


def options(layer: KerasLayer) -> dict[str, Any]:
    """Fields of ``Recurrent`` from the layer's configuration."""
    if len(layer.shape) != 2:
        raise layer.error(f"its input {layer.shape} is not a sequence (steps, channels)")
    if layer.flag("time_major", False):
        raise layer.error("time_major is not supported", "put the batch first")
    activation, parameter = _function(layer, "activation", "tanh")
    recurrent, recurrent_parameter = _function(layer, "recurrent_activation", "sigmoid")
    return {
        "units": layer.integer("units"),
        "return_sequences": layer.flag("return_sequences", False),
        "go_backwards": layer.flag("go_backwards", False),
        "input_order": layer.flag("input_order", False),  # of Bidirectional
        "stateful": layer.flag("stateful", False),
        "activation": activation,
        "activation_parameter": parameter,
        "recurrent_activation": recurrent,
        "recurrent_parameter": recurrent_parameter,
    }


def kernel_shapes(layer: KerasLayer, gates: int, bias: Shape | None = None) -> dict[str, Shape]:
    """Shapes of the weights, by name in Keras' order; ``bias`` where it is not a number for each row."""
    units = layer.integer("units")
    shapes: dict[str, Shape] = {"kernel": (layer.shape[-1], gates * units), "recurrent": (units, gates * units)}
    return shapes | ({"bias": bias or (gates * units,)} if layer.flag("use_bias", True) else {})


def nodes(
    layer: KerasLayer, operator: Recurrent, weights: Mapping[str, Any], *cells: Recurrent
) -> list[Node] | Outputs:
    """The layer's node and, with ``return_state``, the nodes of its states; ``cells`` are those besides the hidden one."""
    sequence = layer.node(operator, weights)
    if not layer.flag("return_state", False):
        return [sequence]
    made, names = [sequence], [layer.name, layer.name]
    if operator.return_sequences:
        steps, units = layer.shape[0], operator.units
        end = 0 if operator.go_backwards and operator.input_order else steps - 1
        last = Node(layer.auxiliary("last"), Slice((end, 0), (1, units)), (layer.name,))
        state = Node(layer.auxiliary("state"), Reshape((units,)), (last.name,))
        made, names = [*made, last, state], [layer.name, state.name]
    for cell in cells:
        made.append(Node(layer.auxiliary("cell"), replace(cell, return_sequences=False), layer.inputs, weights))
        names.append(made[-1].name)
    return Outputs(made, names)


def _function(layer: KerasLayer, key: str, default: str) -> tuple[str, float]:
    function = parse(replace(layer, config={"activation": layer.config.get(key) or default}))
    name = _name(function)
    if name not in RECURRENT_FUNCTIONS:
        known = ", ".join(sorted(RECURRENT_FUNCTIONS))
        raise layer.error(
            f"{key} {layer.config.get(key)!r} is not supported".replace("\n", " ")[:100], f"known: {known}"
        )
    return name, function.parameter


def _name(function: Function) -> str:
    clip = (function.low, function.high)
    if function.name == "clip":
        return _CLIPS.get(clip, "")
    return function.name if clip == (-math.inf, math.inf) and not function.slope else ""
