"""Which layer reads which? The calls of a Keras network, from the configurations of both generations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.keras_classes import CUSTOM, custom, is_custom
from ggdq_mcu.sources.keras import TENSOR

NETWORKS = ("Functional", "Model", "Sequential")
MAX_LAYERS = 5000
#: How to do without an argument.
_WITHOUT = {
    "initial_state": "let it begin with zeros",
    "mask": "leave out Masking and mask_zero, and give the network sequences of full length",
}


class Reference(NamedTuple):
    """Output ``tensor`` of call number ``call`` of the layer with that name."""

    layer: str
    call: int
    tensor: int


@dataclass(frozen=True)
class Call:
    """One call of a layer: its number (0 unless the layer is shared), its configuration entry, and what it reads.

    The call of an operation of keras.ops has its ``arguments`` too: TENSOR for what it reads, and constants.
    ``keywords`` are what it is called with by name, likewise; the tensors among them are the last of ``inputs``.
    """

    name: str
    number: int
    entry: Mapping[str, Any]
    inputs: tuple[Reference, ...]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """The calls of a model in an order in which they can be computed, and its inputs and outputs."""

    calls: tuple[Call, ...]
    inputs: tuple[Reference, ...]
    outputs: tuple[Reference, ...]


def read_network(entry: Mapping[str, Any]) -> Network:
    """The calls of the model (Sequential or functional) that a configuration entry describes."""
    config = entry.get("config")
    if isinstance(config, list):  # Sequential of Keras before 2.2.3
        config = {"layers": config}
    layers = config.get("layers") if isinstance(config, Mapping) else None
    if entry.get("class_name") not in NETWORKS or not isinstance(layers, list) or not isinstance(config, Mapping):
        raise GgdqError(
            f"model class {str(entry.get('class_name'))[:60]!r} is not supported",
            fix="build the model with keras.Sequential or the functional API",
        )
    if not layers:
        raise GgdqError("the model has no layers")
    if len(layers) > MAX_LAYERS:
        raise GgdqError(f"the model has {len(layers)} layers; at most {MAX_LAYERS}")
    return _sequential(config, layers) if entry["class_name"] == "Sequential" else _functional(config, layers)


def layer_name(entry: Mapping[str, Any]) -> str:
    """Name of a layer."""
    config = entry.get("config")
    name = entry.get("name") or (config.get("name") if isinstance(config, Mapping) else None)
    if name is None and "config" in entry and is_custom(entry):
        raise custom(str(entry.get("class_name")), "")
    if not isinstance(name, str) or not name:
        what = (
            f"a layer of class {str(entry.get('class_name'))[:60]!r} has no name, as custom classes without get_config"
        )
        raise GgdqError(what, fix=CUSTOM)
    return name


def _sequential(config: Mapping[str, Any], layers: list[Any]) -> Network:
    first = layers[0]
    if first["class_name"] != "InputLayer" and first["class_name"] not in NETWORKS:
        shape = first["config"].get("batch_input_shape") or config.get("build_input_shape")
        if shape is None:
            raise GgdqError(
                "the model does not know the shape of its input",
                fix="give its first layer an Input, and save it again",
            )
        input_config = {"name": f"{layer_name(first)}_input", "batch_input_shape": shape}
        layers = [{"class_name": "InputLayer", "config": input_config}, *layers]
    calls: list[Call] = []
    for entry in layers:
        inputs = (Reference(calls[-1].name, 0, 0),) if calls else ()
        calls.append(Call(layer_name(entry), 0, entry, inputs))
    return Network(tuple(calls), (Reference(calls[0].name, 0, 0),), (Reference(calls[-1].name, 0, 0),))


def _functional(config: Mapping[str, Any], layers: list[Any]) -> Network:
    entries = {layer_name(entry): entry for entry in layers}
    if len(entries) != len(layers):
        raise GgdqError("two layers of the model have the same name")
    raw = [
        _call(name, number, entry, node)
        for name, entry in entries.items()
        for number, node in enumerate(entry.get("inbound_nodes") or [[]])
    ]
    inputs = tuple(_references(config.get("input_layers")))
    outputs = tuple(_references(config.get("output_layers")))
    used = [reference for call in raw for reference in call.inputs] + list(outputs)
    offsets = {name: _offset(name, entry, used) for name, entry in entries.items()}

    def resolve(references: Sequence[Reference]) -> tuple[Reference, ...]:
        return tuple(one._replace(call=one.call - offsets.get(one.layer, 0)) for one in references)

    calls = [replace(call, inputs=resolve(call.inputs)) for call in raw]
    if not inputs or not outputs:
        raise GgdqError("the model has no inputs or no outputs")
    return Network(_ordered(calls), inputs, resolve(outputs))


def _offset(name: str, entry: Mapping[str, Any], used: list[Reference]) -> int:
    """Number of a layer's first call: a nested functional model begins with 1, after the call that made it."""
    if entry.get("class_name") not in NETWORKS:
        return 0
    numbers = [reference.call for reference in used if reference.layer == name]
    calls = len(entry.get("inbound_nodes") or [])
    return 1 if numbers and (max(numbers) >= calls or entry["class_name"] != "Sequential") and min(numbers) >= 1 else 0


def _ordered(calls: list[Call]) -> tuple[Call, ...]:
    """The calls, each after those that it reads, else in the order of the configuration."""
    done: set[tuple[str, int]] = set()
    ordered: list[Call] = []
    waiting = calls
    while waiting:
        later = []
        for call in waiting:
            if all((reference.layer, reference.call) in done for reference in call.inputs):
                ordered.append(call)
                done.add((call.name, call.number))
            else:
                later.append(call)
        if len(later) == len(waiting):
            raise GgdqError("reads a layer that is missing, or itself", f"layer {later[0].name!r}")
        waiting = later
    return tuple(ordered)


def _references(structure: Any) -> Iterator[Reference]:
    """References in a list, or a nest of lists and dictionaries: ["name", 0, 0]."""
    if isinstance(structure, Mapping):
        for value in structure.values():
            yield from _references(value)
    elif isinstance(structure, list | tuple):
        if len(structure) in (3, 4) and isinstance(structure[0], str):
            yield Reference(structure[0], int(structure[1]), int(structure[2]))
        else:
            for value in structure:
                yield from _references(value)


def is_operation(entry: Mapping[str, Any]) -> bool:
    """Is it an operation of keras.ops, not a layer?"""
    if "module" in entry:
        return re.match(r"keras\.(src\.)?ops(\.|$)", str(entry["module"])) is not None
    # HDF5 files leave the module out, but only layers have a type and can be trained.
    config, nodes = entry.get("config"), entry.get("inbound_nodes")
    plain = isinstance(config, Mapping) and not config.keys() & {"dtype", "trainable"}
    return plain and isinstance(nodes, list) and bool(nodes) and isinstance(nodes[0], Mapping)


def _call(name: str, number: int, entry: Mapping[str, Any], node: Any) -> Call:
    if not isinstance(node, Mapping):
        return _call_of_keras_2(name, number, entry, node)
    inputs: list[Reference] = []
    given = node.get("args", [])
    arguments = tuple(_operand(argument, inputs) for argument in given)
    named = {key: value for key, value in node.get("kwargs", {}).items() if value not in (None, False)}
    keywords = {key: _operand(value, inputs) for key, value in named.items()}
    if not is_operation(entry):
        _check_tensors(name, arguments)
        return Call(name, number, entry, tuple(inputs), (), keywords)
    options = {key: value for key, value in keywords.items() if not _has_tensor(value)}
    entry = {**entry, "config": {**entry["config"], **options}}
    tensors = {key: value for key, value in keywords.items() if key not in options}
    return Call(name, number, entry, tuple(inputs), arguments, tensors)


def _operand(argument: Any, inputs: list[Reference]) -> Any:
    """An argument of a call: TENSOR, its reference added to ``inputs``, or what it is."""
    if isinstance(argument, list | tuple):
        return [_operand(one, inputs) for one in argument]
    if isinstance(argument, Mapping) and argument.get("class_name") == "__keras_tensor__":
        layer, call, tensor = argument["config"]["keras_history"]
        inputs.append(Reference(str(layer), int(call), int(tensor)))
        return TENSOR
    return argument


def _has_tensor(value: Any) -> bool:
    return value is TENSOR or (isinstance(value, list) and any(map(_has_tensor, value)))


def _check_tensors(name: str, arguments: Sequence[Any]) -> None:
    """Layers are called with tensors, lists of tensors, and None."""
    for argument in arguments:
        if isinstance(argument, list):
            _check_tensors(name, argument)
        elif argument is not None and argument is not TENSOR:
            raise GgdqError(
                "is called with something other than tensors", f"layer {name!r}", "call it with tensors only"
            )


def _call_of_keras_2(name: str, number: int, entry: Mapping[str, Any], node: Any) -> Call:
    """What one call reads in files of Keras 2: [["name", 0, 0, {keywords}], ...]."""
    inputs: list[Reference] = []
    keywords: dict[str, Any] = {}
    for item in node if isinstance(node, list) else []:
        if not isinstance(item, list) or len(item) not in (3, 4) or not isinstance(item[0], str):
            raise GgdqError("is called with something other than tensors", f"layer {name!r}")
        inputs.append(Reference(item[0], int(item[1]), int(item[2])))
        keywords |= item[3] if len(item) == 4 else {}
    return Call(
        name, number, entry, tuple(inputs), (), {key: one for key, one in keywords.items() if one not in (None, False)}
    )


def check_keywords(name: str, keywords: Mapping[str, Any], known: frozenset[str]) -> None:
    """What a layer is called with by name has to be known: one that is told to train does not compute inference."""
    unknown = [key for key in keywords if key not in known]
    if unknown:
        fix = "; ".join(_WITHOUT[key] for key in unknown if key in _WITHOUT)
        raise GgdqError(
            f"is called with {', '.join(map(str, unknown))[:60]}, which is not supported", f"layer {name!r}", fix
        )
