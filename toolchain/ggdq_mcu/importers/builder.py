"""How does a Keras model become a graph? Each call of a layer becomes nodes; nested models are written out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from math import prod

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.graph.graph import Shape, infer_shape
from ggdq_mcu.importers.keras_classes import class_of
from ggdq_mcu.importers.keras_known import keras_layers, keras_operations
from ggdq_mcu.importers.keras_model import KerasModel
from ggdq_mcu.importers.problems import Problems
from ggdq_mcu.importers.shapes import InputShapes, with_given
from ggdq_mcu.importers.topology import NETWORKS, Call, Network, Reference, check_keywords, is_operation, read_network
from ggdq_mcu.sources.keras import MAX_ELEMENTS, KerasLayer, Outputs

_MAX_DEPTH = 20
_MISSING = ""  # stands for the node of a value whose layer could not be converted
_MAX_PARAMETERS = 1 << 27  # a small file can announce any number of them


def build(model: KerasModel, name: str, shapes: InputShapes | None = None) -> Graph:
    """The graph of a model, its nodes in topological order and named after the layers.

    ``shapes``: sizes of inputs that the model leaves open, by name. GgdqError with all that is in the way.
    """
    builder = _Builder(model)
    network = _with_shapes(read_network(model.config), shapes)
    builder.reserved = {_clean(call.name) for call in network.calls}
    outputs = builder.network(network, (), "", None)
    builder.problems.check()
    return Graph(_clean(name), tuple(builder.nodes), tuple(dict.fromkeys(outputs)))


class _Builder:
    """Collects the nodes of a graph while the calls of a model, and of the models in it, are walked."""

    def __init__(self, model: KerasModel) -> None:
        self.model = model
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.reserved: set[str] = set()
        self.parameters = 0
        self.problems = Problems()

    def network(self, network: Network, path: tuple[str, ...], prefix: str, arguments: list[str] | None) -> list[str]:
        """Add the calls of one model; ``arguments`` are the nodes that a nested model reads. Gives its output nodes."""
        values: dict[tuple[str, int], list[str] | None] = {}
        if arguments is not None:
            if len(arguments) != len(network.inputs):
                raise GgdqError(
                    f"takes {len(network.inputs)} inputs, not {len(arguments)}", f"model {'/'.join(path)!r}"
                )
            for reference, node in zip(network.inputs, arguments, strict=True):
                values[reference.layer, reference.call] = [node]
        calls = network.calls if arguments is not None else _inputs_first(network)
        for call in calls:
            if (call.name, call.number) not in values:
                values[call.name, call.number] = None  # missing, where the call fails
                with self.problems.gathered():
                    inputs = [_value(values, reference) for reference in call.inputs]
                    values[call.name, call.number] = self.call(call, path, prefix, inputs)
        return [_value(values, reference) for reference in network.outputs]

    def call(self, call: Call, path: tuple[str, ...], prefix: str, inputs: list[str]) -> list[str] | None:
        """Add one call of a layer or of a nested model. Gives the nodes that hold its outputs."""
        name = prefix + _clean(call.name) + (f"/{call.number}" if call.number else "")
        path = (*path, call.name)
        if call.entry.get("class_name") in NETWORKS:
            if len(path) > _MAX_DEPTH:
                raise GgdqError(f"models are nested more than {_MAX_DEPTH} deep", f"model {name[:60]!r}")
            network = read_network(call.entry)
            return self.network(network, path, f"{name}/", inputs or None)
        return self.layer(call, path, self.unique(name), inputs)

    def layer(self, call: Call, path: tuple[str, ...], name: str, inputs: list[str]) -> list[str] | None:
        """Add the nodes of one call of a layer. Gives the nodes that hold its outputs; None where an input is missing."""
        entry = call.entry
        class_name = class_of(entry, name, is_operation(entry))
        if _MISSING in inputs:
            return None
        layer = KerasLayer(
            name,
            class_name,
            entry["config"],
            tuple(inputs),
            tuple(self.shapes[source] for source in inputs),
            self.model.weights(path),
            self.model.keras,
            lambda suffix: self.unique(f"{name}_{suffix}", auxiliary=True),
            call.arguments,
            call.keywords,
        )
        if not inputs and class_name != "InputLayer":
            raise layer.error("reads nothing")
        convert = (keras_operations() if is_operation(entry) else keras_layers())[class_name]
        check_keywords(name, call.keywords, getattr(convert, "keywords", frozenset()))
        made = convert(layer)
        for node in made.nodes if isinstance(made, Outputs) else made:
            assert node.name not in self.shapes, node.name
            self.shapes[node.name] = infer_shape(node, self.shapes)
            if prod(self.shapes[node.name]) > MAX_ELEMENTS:
                raise layer.error(f"output of shape {self.shapes[node.name]} has more than {MAX_ELEMENTS} elements")
            self.parameters += sum(array.size for array in node.weights.values())
            if self.parameters > _MAX_PARAMETERS:
                raise layer.error(f"with it the network has more than {_MAX_PARAMETERS} parameters")
            self.nodes.append(node)
        return made.names if isinstance(made, Outputs) else [name]

    def unique(self, name: str, auxiliary: bool = False) -> str:
        """A node name that no other node has; nodes that only help a layer never take the name of another layer."""
        taken = self.shapes.keys() | (self.reserved if auxiliary else set())
        count, candidate = 1, name
        while candidate in taken:
            count += 1
            candidate = f"{name}_{count}"
        return candidate


def _inputs_first(network: Network) -> list[Call]:
    """The calls, the network's inputs first and in the order in which it takes them."""
    order = {reference.layer: position for position, reference in enumerate(network.inputs)}
    return sorted(network.calls, key=lambda call: order.get(call.name, len(order)))


def _with_shapes(network: Network, shapes: InputShapes | None) -> Network:
    """The network with the sizes of its inputs that the user gave."""
    first = {reference.layer for reference in network.inputs}
    keys = ("batch_shape", "batch_input_shape")
    stored = {
        call.name: next((call.entry["config"][key] for key in keys if call.entry["config"].get(key)), ())
        for call in network.calls
        if call.name in first and isinstance(call.entry.get("config"), Mapping)
    }
    known = {name: tuple(value) for name, value in stored.items() if isinstance(value, list | tuple)}
    given = with_given(known, shapes) if shapes else {}

    def shaped(call: Call) -> Call:
        if call.name not in given or given[call.name] == known[call.name]:
            return call
        config = {**call.entry["config"], "batch_shape": given[call.name]}
        return replace(call, entry={**call.entry, "config": config})

    return replace(network, calls=tuple(map(shaped, network.calls)))


def _value(values: Mapping[tuple[str, int], list[str] | None], reference: Reference) -> str:
    outputs = values.get((reference.layer, reference.call), [])
    if outputs is None:
        return _MISSING
    if not 0 <= reference.tensor < len(outputs):
        raise GgdqError(f"output {reference.tensor} of it is read but does not exist", f"layer {reference.layer!r}")
    return outputs[reference.tensor]


def _clean(name: str) -> str:
    """A layer's name with nothing in it that could end a comment or a string, wherever it is printed."""
    return re.sub(r"[^A-Za-z0-9_.\-/]", "_", name)[:96] or "_"
