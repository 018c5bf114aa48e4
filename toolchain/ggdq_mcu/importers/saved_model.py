"""How is a SavedModel folder read without running it? Its graph as protocol buffers, its variables as a checkpoint.

TensorFlow serves only to parse both (so it is needed for this road alone): the graph is walked here, operation by
operation, through the functions that it calls, and nothing of it is ever given to TensorFlow to execute.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers.tensorflow_operations import Constant, Operation, Translator, Value
from ggdq_mcu.sources.keras import MAX_ELEMENTS

_CALLS = ("StatefulPartitionedCall", "PartitionedCall")
_SIGNATURE = "serving_default"
_MAX_BYTES = 1 << 28
_MAX_DEPTH = 20
_INNER_SCOPES = ("batchnorm", "separable_conv2d")  # that TensorFlow's own functions open in a layer's scope
_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


@dataclass(frozen=True, eq=False)
class _Variables:
    """The checkpoint: for every variable's node in the graph its key, for every key the variable's own name."""

    reader: Any
    keys: Mapping[str, str]
    names: Mapping[str, str]

    def read(self, node: str) -> Constant:
        key = self.keys.get(node)
        shape = self.reader.get_variable_to_shape_map().get(key)
        if key is None or shape is None:
            raise GgdqError(f"variable {node!r} is not in the checkpoint")
        if np.prod(shape, dtype=float) > MAX_ELEMENTS:
            raise GgdqError(f"variable {node!r} of shape {shape} has more than {MAX_ELEMENTS} elements")
        value = np.asarray(_tensor(self.reader, str(key)))
        if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
            raise GgdqError(f"variable {self.names.get(key, node)!r} holds NaN or infinite values")
        return Constant(value, variable=self.names.get(key, node))


def read(folder: Path, name: str) -> Graph:
    """The graph of the folder's default signature."""
    file = folder / "saved_model.pb"
    if not file.is_file():
        raise GgdqError("a folder without saved_model.pb is no SavedModel")
    if file.stat().st_size > _MAX_BYTES:
        raise GgdqError(f"saved_model.pb is larger than {_MAX_BYTES} bytes")
    model = _parse(file)
    if _SIGNATURE not in model.signature_def:
        raise GgdqError(f"has no signature {_SIGNATURE!r}", fix="write it with model.export(), or save a .keras file")
    walker = _Walker(model, _variables(model, folder), Translator())
    signature = model.signature_def[_SIGNATURE]
    for key in sorted(signature.inputs, key=_natural):
        info = signature.inputs[key]
        shape = [dim.size for dim in info.tensor_shape.dim]
        walker.translator.input(info.name.split(":")[0], shape)
    outputs = [signature.outputs[key].name for key in sorted(signature.outputs, key=_natural)]
    values = walker.evaluate(list(model.graph_def.node), outputs, {}, "", 0)
    return walker.translator.graph(name, values)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts output_10 after output_9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _parse(file: Path) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        from tensorflow.core.protobuf import saved_model_pb2
    except ImportError as error:
        raise GgdqError(
            "reading a SavedModel needs TensorFlow", fix="pip install 'ggdq-mcu[tensorflow]', or save a .keras file"
        ) from error
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(file.read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise GgdqError(f"saved_model.pb cannot be read ({error})") from error
    if not saved.meta_graphs:
        raise GgdqError("saved_model.pb holds no graph")
    return saved.meta_graphs[0]


def _variables(model: Any, folder: Path) -> _Variables:
    import tensorflow
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    with _readable():
        reader = tensorflow.train.load_checkpoint(str(folder / "variables" / "variables"))
        objects = trackable_object_graph_pb2.TrackableObjectGraph.FromString(reader.get_tensor(_OBJECT_GRAPH))
    attributes = [attribute for node in objects.nodes for attribute in node.attributes]
    names = {attribute.checkpoint_key: attribute.full_name for attribute in attributes}
    return _Variables(reader, dict(_restored(model)), names)


def _tensor(reader: Any, key: str) -> Any:
    """A variable's value; its bytes may be damaged where the index is not."""
    with _readable():
        return reader.get_tensor(key)


@contextmanager
def _readable() -> Iterator[None]:
    """TensorFlow's errors, which have no common base, as ours."""
    try:
        yield
    except Exception as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise GgdqError(f"its variables cannot be read ({first[:200]})") from error


def _restored(model: Any) -> Iterator[tuple[str, str]]:
    """Each variable's node and its key in the checkpoint, as the function says that restores them."""
    functions = {function.signature.name: function for function in model.graph_def.library.function}
    nodes = {node.name: node for node in model.graph_def.node}
    call = nodes.get(model.saver_def.restore_op_name.split(":")[0])
    function = functions.get(call.attr["f"].func.name) if call else None
    if call is None or function is None:
        return
    handles = dict(zip((argument.name for argument in function.signature.input_arg), call.input, strict=False))
    inner = {node.name: node for node in function.node_def}
    for node in function.node_def:
        if node.op == "AssignVariableOp":
            source = node.input[1]
            while inner[source.split(":")[0]].op == "Identity":
                source = inner[source.split(":")[0]].input[0]
            restore = inner[source.split(":")[0]]
            tensor_names = inner[restore.input[1].split(":")[0]].attr["value"].tensor.string_val
            yield handles[node.input[0]], tensor_names[int(source.split(":")[-1])].decode("utf8")


class _Walker:
    """Evaluates operations in the order in which they depend on each other, and the functions that they call."""

    def __init__(self, model: Any, variables: _Variables, translator: Translator) -> None:
        self.functions = {function.signature.name: function for function in model.graph_def.library.function}
        self.variables = variables
        self.translator = translator

    def evaluate(
        self, nodes: Sequence[Any], wanted: Sequence[str], given: Mapping[str, Value], scope: str, depth: int
    ) -> list[Value]:
        """Values of the ``wanted`` tensors of one graph or function body; ``given`` are the values of its arguments."""
        by_name = {node.name: node for node in nodes}
        values: dict[str, list[Value]] = {name: [value] for name, value in given.items()}
        order = _order(by_name, wanted, values.keys())
        readers = Counter([*wanted, *(source for name in order for source in by_name[name].input)])
        for name in order:
            node = by_name[name]
            sources = [source for source in node.input if not source.startswith("^")]
            alone = tuple(readers[source] == 1 and source not in given for source in sources)
            inputs = [_pick(values, source) for source in sources]
            values[name] = self.operation(node, inputs, alone, scope, depth)
        return [_pick(values, tensor) for tensor in wanted]

    def operation(self, node: Any, inputs: list[Value], alone: tuple[bool, ...], scope: str, depth: int) -> list[Value]:
        """Values of one operation's outputs."""
        if node.op in _CALLS:
            return self.call(node, inputs, scope, depth)
        if node.op == "Placeholder":
            return [self.translator.placeholder(node.name)]
        if node.op == "VarHandleOp":
            return [self.variables.read(node.name)]
        if node.op == "Const":
            from tensorflow import make_ndarray

            return [Constant(make_ndarray(node.attr["value"].tensor))]
        operation = Operation(node.op, node.name, scope or _layer_scope(node.name), node.attr, alone)
        return [self.translator.translate(operation, inputs)]

    def call(self, node: Any, inputs: list[Value], scope: str, depth: int) -> list[Value]:
        """Outputs of a function. Those that a layer calls (not the whole network's) stay in that layer's scope."""
        function = self.functions.get(node.attr["f"].func.name)
        if function is None or depth > _MAX_DEPTH:
            raise GgdqError(f"operation {node.name[:80]!r} calls a function that is missing, or itself")
        names = [argument.name for argument in function.signature.input_arg]
        wanted = [function.ret[argument.name] for argument in function.signature.output_arg]
        inner = scope or (node.name.rpartition("/")[0] if depth else "")
        return self.evaluate(function.node_def, wanted, dict(zip(names, inputs, strict=True)), inner, depth + 1)


def _layer_scope(name: str) -> str:
    """The layer's part of an operation's name: model/layer of model/layer/batchnorm/mul_1."""
    parts = name.split("/")[:-1] or [name]
    return "/".join(parts[:-1] if len(parts) > 2 and parts[-1] in _INNER_SCOPES else parts)


def _order(by_name: Mapping[str, Any], wanted: Sequence[str], given: Any) -> list[str]:
    """Names of the operations that the wanted tensors need, each after those that it reads."""
    graph: dict[str, list[str]] = {}
    waiting = [tensor.split(":")[0] for tensor in wanted]
    while waiting:
        name = waiting.pop()
        if name in graph or name in given:
            continue
        if name not in by_name:
            raise GgdqError(f"operation {name[:80]!r} is read but does not exist")
        sources = [source.split(":")[0] for source in by_name[name].input if not source.startswith("^")]
        graph[name] = sorted(set(sources) - set(given))
        waiting.extend(graph[name])
    try:
        return list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        raise GgdqError("an operation reads itself") from error


def _pick(values: Mapping[str, list[Value]], tensor: str) -> Value:
    """The value of a tensor: "name", "name:1" in a graph, "name:output:1" in a function."""
    name, *rest = tensor.split(":")
    outputs, index = values[name], int(rest[-1]) if rest else 0
    if index >= len(outputs):
        raise GgdqError(f"output {index} of operation {name[:80]!r} is not supported")
    return outputs[index]
