"""How does a SavedModel folder become a graph? TensorFlow Lite's converter makes a .tflite of it, which is read as any other.

Loading a SavedModel runs what its graph restores variables with, and the converter evaluates what depends on constants
alone. So before either sees the folder, every operation that they could reach has to be one that computes with numbers; only
the restoring of variables may read a file. The converter is a process of its own: a damaged file can end no other.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import tflite, tflite_file

_SIGNATURE = "serving_default"
_MAX_BYTES = 1 << 28
_SECONDS = 600
_REFUSED, _FIX = "refused:", "save the model as .keras, or export it to ONNX"
#: Operations of a graph that compute with numbers, and with nothing else.
_NUMBERS = frozenset((
    "Abs", "Add", "AddN", "AddV2", "ArgMax", "ArgMin", "AvgPool", "BatchMatMul", "BatchMatMulV2", "BatchToSpaceND",
    "BiasAdd", "BroadcastArgs", "BroadcastTo", "Cast", "Ceil", "ClipByValue", "Concat", "ConcatV2", "Const", "Conv2D",
    "Conv2DBackpropInput", "Cos", "DepthToSpace", "DepthwiseConv2dNative", "Div", "DivNoNan", "Elu", "Equal", "Erf",
    "Exp", "ExpandDims", "Fill", "Floor", "FloorDiv", "FloorMod", "FusedBatchNorm", "FusedBatchNormV2",
    "FusedBatchNormV3", "Gather", "GatherNd", "GatherV2", "Greater", "GreaterEqual", "Identity", "IdentityN", "If",
    "LeakyRelu", "Less", "LessEqual", "Log", "Log1p", "LogSoftmax", "LogicalAnd", "LogicalNot", "LogicalOr", "MatMul",
    "Max", "MaxPool", "MaxPoolV2", "Maximum", "Mean", "Min", "Minimum", "MirrorPad", "Mul", "Neg", "NoOp", "NotEqual",
    "OnesLike", "Pack", "Pad", "PadV2", "PartitionedCall", "Placeholder", "Pow", "PreventGradient", "Prod", "Range",
    "Rank", "ReadVariableOp", "RealDiv", "Reciprocal", "Relu", "Relu6", "Reshape", "ResizeBilinear",
    "ResizeNearestNeighbor", "ReverseV2", "Round", "Rsqrt", "Select", "SelectV2", "Selu", "Shape", "Sigmoid", "Sign",
    "Sin", "Size", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToBatchND", "SpaceToDepth", "Split", "SplitV",
    "Sqrt", "Square", "SquaredDifference", "Squeeze", "StatefulPartitionedCall", "StatelessIf", "StatelessWhile",
    "StopGradient", "StridedSlice", "Sub", "Sum", "Tanh", "TensorListFromTensor", "TensorListGetItem",
    "TensorListReserve", "TensorListSetItem", "TensorListStack", "Tile", "Transpose", "Unpack", "VarHandleOp", "While",
    "ZerosLike",
))  # fmt: skip
#: What else restoring takes: it reads the folder's checkpoint.
_RESTORING = _NUMBERS | {"AssignVariableOp", "DisableCopyOnRead", "RestoreV2"}
#: What else nodes do that make variables, and that nothing else depends on.
_MAKING = _NUMBERS | {"AssignVariableOp", "VarIsInitializedOp"}
#: Objects that loading makes without running anything of theirs.
_OBJECTS = frozenset(
    ("user_object", "function", "variable", "constant", "bare_concrete_function", "captured_tensor", None)
)


def read(folder: Path, name: str) -> Graph:
    """The graph of the folder's default signature, as TensorFlow Lite's converter gives it.

    The converter folds BatchNormalization into the layer before, so there are no statistics for calibration without data.
    """
    file = folder / "saved_model.pb"
    if not file.is_file():
        raise GgdqError("a folder without saved_model.pb is no SavedModel")
    if file.stat().st_size > _MAX_BYTES:
        raise GgdqError(f"saved_model.pb is larger than {_MAX_BYTES} bytes")
    with tempfile.TemporaryDirectory(prefix="ggdq-") as place:
        out = Path(place) / "model.tflite"
        command = [sys.executable, "-m", __name__, str(folder), str(out)]
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
        try:
            done = subprocess.run(command, capture_output=True, text=True, env=quiet, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired as error:
            raise GgdqError(f"its conversion takes longer than {_SECONDS} s", fix=_FIX) from error
        lines = [line for line in done.stdout.splitlines() if line.startswith(_REFUSED)]
        if lines:
            what, where, fix = lines[0].removeprefix(_REFUSED).split("\t")
            raise GgdqError(what, where, fix)
        if done.returncode or not out.is_file():
            reasons = [line for line in done.stderr.splitlines() if "rror" in line] or ["the converter ended"]
            raise GgdqError(f"cannot be converted to TensorFlow Lite ({reasons[-1].strip()[:200]})", fix=_FIX)
        converted = tflite_file.read(out)
    # The converter gives inputs and outputs in any order; their names end with the signature's keys or numbers.
    by_name = {index: _natural(tensor.name) for index, tensor in enumerate(converted.tensors)}
    inputs, outputs = (tuple(sorted(ends, key=by_name.__getitem__)) for ends in (converted.inputs, converted.outputs))
    return tflite.graph_of(replace(converted, inputs=inputs, outputs=outputs), name, tflite.translated)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts output_10 after output_9."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def convert(folder: Path, out: Path) -> None:
    """Writes the .tflite of the folder's default signature; GgdqError for what may not be loaded."""
    check(parsed((folder / "saved_model.pb").read_bytes()))
    import tensorflow

    converter = tensorflow.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[_SIGNATURE])
    out.write_bytes(converter.convert())


def parsed(content: bytes) -> Any:
    """The one graph (MetaGraphDef) in a saved_model.pb."""
    try:
        from tensorflow.core.protobuf import saved_model_pb2
    except ImportError as error:
        fix = "pip install 'ggdq-mcu[tensorflow]', or save a .keras file"
        raise GgdqError("reading a SavedModel needs TensorFlow", fix=fix) from error
    saved = saved_model_pb2.SavedModel()
    try:
        saved.ParseFromString(content)
    except Exception as error:  # protobuf's DecodeError
        raise GgdqError(f"saved_model.pb cannot be read ({error})") from error
    if len(saved.meta_graphs) != 1:
        raise GgdqError(f"saved_model.pb holds {len(saved.meta_graphs)} graphs instead of one")
    return saved.meta_graphs[0]


def check(model: Any) -> None:
    """GgdqError if loading or converting a graph (MetaGraphDef) could run anything but arithmetic."""
    if _SIGNATURE not in model.signature_def:
        raise GgdqError(f"has no signature {_SIGNATURE!r}", fix="write it with model.export(), or save a .keras file")
    if model.asset_file_def:
        raise GgdqError("has files of its own, which are never loaded", fix=_FIX)
    for thing in model.object_graph_def.nodes:
        if thing.WhichOneof("kind") not in _OBJECTS:
            raise GgdqError(f"holds a {thing.WhichOneof('kind')}, which is never loaded", fix=_FIX)
    nodes = {node.name: node for node in model.graph_def.node}
    functions = {function.signature.name: function for function in model.graph_def.library.function}
    saving = _before(nodes, [model.saver_def.save_tensor_name])
    outputs = [info.name for key in model.signature_def for info in model.signature_def[key].outputs.values()]
    outputs += [name for collection in model.collection_def.values() for name in collection.node_list.value]
    restoring = _before(nodes, [model.saver_def.restore_op_name])
    computing = _before(nodes, outputs)
    others = nodes.keys() - saving - restoring
    _only(_NUMBERS, (nodes[name] for name in computing), functions)
    _only(_MAKING, (nodes[name] for name in others - computing), functions)
    _only(_RESTORING, (nodes[name] for name in restoring), functions)


def _before(nodes: dict[str, Any], ends: Iterable[str]) -> set[str]:
    """Names of the nodes that the values ``ends`` depend on."""
    found: set[str] = set()
    left = [end.lstrip("^").split(":")[0] for end in ends]
    while left:
        name = left.pop()
        if name in nodes and name not in found:
            found.add(name)
            left += [source.lstrip("^").split(":")[0] for source in nodes[name].input]
    return found


def _only(allowed: frozenset[str], nodes: Iterator[Any], functions: dict[str, Any]) -> None:
    """GgdqError for a node, or one of a function that it calls, whose operation is not among the ``allowed``."""
    seen: set[str] = set()
    left = list(nodes)
    while left:
        node = left.pop()
        if node.op not in allowed and node.op not in functions:
            where = f"operation {node.name[:80]!r} ({node.op[:60]})"
            raise GgdqError("is not supported, and no other operation of a model file is ever run", where, _FIX)
        called = [node.op] if node.op in functions else []
        for value in node.attr.values():
            called += [one.name for one in (value.func, *value.list.func) if one.name]
        for name in set(called) - seen:
            seen.add(name)
            if name not in functions:
                raise GgdqError(f"calls {name[:60]!r}, which it does not hold", f"operation {node.name[:80]!r}")
            left += functions[name].node_def


def main() -> None:
    """The process that converts: FOLDER OUT."""
    try:
        convert(Path(sys.argv[1]), Path(sys.argv[2]))
    except GgdqError as error:
        print(_REFUSED + "\t".join(" ".join(part.split()) for part in (error.what, error.where, error.fix)))


if __name__ == "__main__":
    main()
