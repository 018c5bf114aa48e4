"""Which layers of Keras wrap others, and what becomes of these? Bidirectional, RNN and TimeDistributed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.graph import infer_shape
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.importers.keras_known import keras_layers
from ggdq_mcu.importers.over_time import over_time
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.sources.keras import KerasLayer, Outputs

_NETWORKS = ("Functional", "Model", "Sequential")
_MOST_STEPS = 256  # that a layer is written out for
_RECURRENT = ("GRU", "LSTM", "SimpleRNN")
_MERGES: Mapping[str, Operator] = {"concat": Concatenate(-1), "sum": Add(), "mul": Multiply(), "ave": Add(divisor=2)}


def from_keras_bidirectional(layer: KerasLayer) -> list[Node] | Outputs:
    """Bidirectional around GRU, LSTM or SimpleRNN, merged by concat, sum, mul, ave or not at all."""
    forward = _wrapped(layer, "layer", "forward", layer.stored[: len(layer.stored) // 2])
    second = "layer" if layer.config.get("backward_layer") is None else "backward_layer"
    backward = _wrapped(layer, second, "backward", layer.stored[len(layer.stored) // 2 :])
    if forward.class_name not in _RECURRENT or backward.class_name not in _RECURRENT:
        raise layer.error(f"wraps {forward.class_name}", f"wrap one of {', '.join(_RECURRENT)}")
    backwards = backward.flag("go_backwards", False) or second == "layer"
    if forward.flag("go_backwards", False) or not backwards:
        raise layer.error("its first layer goes backwards, or its second does not", "let the first go forwards")
    # The steps of the backward sequence are those of the input: not Keras' option, but Bidirectional's.
    backward = replace(backward, config={**backward.config, "go_backwards": True, "input_order": True})
    (first, names), (last, others) = (_converted(one) for one in (forward, backward))
    mode, states = layer.config.get("merge_mode", "concat"), [*names[1:], *others[1:]]
    if mode is None:
        return Outputs([*first, *last], [names[0], others[0], *states])
    if mode not in _MERGES:
        raise layer.error(f"merge_mode {str(mode)[:60]!r} is not supported", f"use {', '.join(_MERGES)} or None")
    merged = Node(layer.name, _MERGES[mode], (names[0], others[0]))
    return Outputs([*first, *last, merged], [layer.name, *states])


def from_keras_rnn(layer: KerasLayer) -> list[Node] | Outputs:
    """RNN around a GRUCell, LSTMCell or SimpleRNNCell: the layer of that name."""
    cell = layer.config.get("cell")
    class_name = str(cell.get("class_name")).removesuffix("Cell") if isinstance(cell, Mapping) else ""
    config = cell.get("config") if isinstance(cell, Mapping) else None
    if class_name not in _RECURRENT or not isinstance(config, Mapping):
        raise layer.error("its cell is not supported", f"use one of {', '.join(_RECURRENT)}")
    made = keras_layers()[class_name](replace(layer, class_name=class_name, config={**layer.config, **config}))
    return made if isinstance(made, Outputs) else list(made)


def from_keras_time_distributed(layer: KerasLayer) -> list[Node] | Outputs:
    """TimeDistributed around a supported layer: computed for all steps at once, or else step by step."""
    if len(layer.shape) < 2:
        raise layer.error(f"its input {layer.shape} is not a sequence (steps, ...)")
    steps, shape = layer.shape[0], layer.shape[1:]
    inner = replace(
        _wrapped(layer, "layer", "", layer.stored), name=layer.name, shapes=(shape,), auxiliary=layer.auxiliary
    )
    nodes, names = _converted(inner)
    if names == [layer.name]:
        shapes: dict[str, Shape] = {layer.inputs[0]: shape}
        for node in nodes:
            shapes[node.name] = infer_shape(node, shapes)
        together = over_time(nodes, shapes, steps, layer.auxiliary)
        if together is not None:
            return together
    return list(_step_by_step(layer, inner, steps))


def _step_by_step(layer: KerasLayer, inner: KerasLayer, steps: int) -> Iterator[Node]:
    """The inner layer once for each step, as a shared layer is written out."""
    shape = inner.shape
    if steps > _MOST_STEPS:
        raise layer.error(f"{inner.class_name} for {steps} steps is not supported", f"use at most {_MOST_STEPS} steps")
    outputs = []
    for step in range(steps):

        def auxiliary(suffix: str, prefix: str = f"step_{step}") -> str:
            return layer.auxiliary(f"{prefix}_{suffix}")

        cut = Node(layer.auxiliary(f"cut_{step}"), Slice((step, *(0,) * len(shape)), (1, *shape)), layer.inputs)
        frame = Node(layer.auxiliary(f"frame_{step}"), Reshape(shape), (cut.name,))
        alone = replace(inner, name=layer.auxiliary(f"step_{step}"), inputs=(frame.name,), auxiliary=auxiliary)
        nodes, names = _converted(alone)
        if len(names) > 1:
            raise layer.error("wraps a layer of several outputs", "let it return one")
        shapes: dict[str, Shape] = {frame.name: shape}
        for node in nodes:
            shapes[node.name] = infer_shape(node, shapes)
        row = Node(layer.auxiliary(f"output_{step}"), Reshape((1, *shapes[names[0]])), (names[0],))
        yield from (cut, frame, *nodes, row)
        outputs.append(row.name)
    rank = len(shapes[names[0]]) + 1
    yield Node(layer.name, Concatenate(-rank), tuple(outputs)) if steps > 1 else replace(row, name=layer.name)


def _wrapped(layer: KerasLayer, key: str, part: str, stored: Any) -> KerasLayer:
    """The layer that ``layer`` wraps, as if it were called in its place; ``part`` tells its nodes from others."""
    entry = layer.config.get(key)
    config = entry.get("config") if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(config, Mapping):
        raise layer.error(f"its configuration lacks the layer that it wraps ({key})")
    class_name = str(entry.get("class_name"))
    if class_name not in keras_layers() or ">" in str(entry.get("registered_name")):
        known = f"supported: {', '.join(sorted(keras_layers()))}"
        fix = "wrap each of its layers alone" if class_name in _NETWORKS else known
        raise layer.error(f"wraps {class_name[:60]!r}, which is not supported", fix)
    return replace(
        layer,
        name=layer.auxiliary(part),
        class_name=class_name,
        config=config,
        stored=stored,
        auxiliary=lambda suffix: layer.auxiliary(f"{part}_{suffix}"),
    )


def _converted(layer: KerasLayer) -> tuple[list[Node], list[str]]:
    """Nodes of a wrapped layer, and the names of its outputs."""
    made = keras_layers()[layer.class_name](layer)
    return (made.nodes, made.names) if isinstance(made, Outputs) else (list(made), [layer.name])


LAYERS: Mapping[str, Callable[..., Any]] = {
    "Bidirectional": from_keras_bidirectional,
    "RNN": from_keras_rnn,
    "TimeDistributed": from_keras_time_distributed,
}
