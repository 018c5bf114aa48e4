"""How is an ONNX file read that nobody vouches for? Parsed, never run; sizes checked before anything is allocated."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import onnx_quantized
from ggdq_mcu.sources.keras import MAX_ELEMENTS

Array = NDArray[Any]
_MAX_BYTES = 1 << 29  # of the file, and of the weights beside it
_MAX_NODES = 20000
_LEAST_OPSET = 7
_KNOWN_OPSET = 13  # older files are converted to _TARGET_OPSET by onnx itself
_TARGET_OPSET = 18
_AGAIN = "export it again with opset_version=18"


@dataclass(frozen=True, eq=False)
class FileNode:
    """A node as the file has it. Empty names among ``inputs`` are left out; ``attributes`` are plain values and arrays."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """The main graph of a file: inputs with their shapes (None: not fixed), constants, nodes in order, outputs.

    ``types`` are the element types (ONNX's numbers) of the tensors whose type could be inferred.
    """

    opset: int
    inputs: Mapping[str, tuple[int | None, ...]]
    constants: Mapping[str, Array]
    nodes: tuple[FileNode, ...]
    outputs: tuple[str, ...]
    types: Mapping[str, int]


def read(path: Path, known: Collection[str] = ()) -> OnnxFile:
    """What is in the file. Weights may lie in a file beside it, as PyTorch writes them.

    Operators that are not ``known`` are written out where ONNX defines them by others.
    """
    try:
        import onnx
    except ImportError as error:
        raise GgdqError("reading ONNX needs the package onnx", fix="pip install 'ggdq-mcu[onnx]'") from error
    if path.stat().st_size > _MAX_BYTES:
        raise GgdqError(f"the file is larger than {_MAX_BYTES} bytes")
    model = onnx.ModelProto()
    try:
        model.ParseFromString(path.read_bytes())
    except Exception as error:  # protobuf's DecodeError
        raise GgdqError(f"not a readable ONNX file, or truncated ({error})") from error
    if not model.HasField("graph"):
        raise GgdqError("not an ONNX model: no graph in it")
    if model.functions:
        raise GgdqError(
            f"calls functions of its own ({model.functions[0].name[:60]})", fix="export it with them inlined"
        )
    if len(model.graph.node) > _MAX_NODES:
        raise GgdqError(f"has {len(model.graph.node)} nodes; at most {_MAX_NODES}")
    model = _written_out(_converted(onnx_quantized.rewritten(model)), known)
    graph = model.graph
    if len(graph.node) > _MAX_NODES:
        raise GgdqError(f"has {len(graph.node)} nodes; at most {_MAX_NODES}")
    if graph.sparse_initializer:
        raise GgdqError("has sparse weights", fix="export it with dense ones")
    constants = dict(_constants(graph.initializer, path.parent))
    return OnnxFile(
        _opset(model, onnx.defs.onnx_opset_version()),
        dict(_inputs(graph, constants)),
        constants,
        tuple(_node(node, index, path.parent) for index, node in enumerate(graph.node)),
        tuple(output.name for output in graph.output),
        _types(model),
    )


def _opset(model: Any, newest: int) -> int:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    version = int(versions.get("", versions.get("ai.onnx", 0)))
    if version < _LEAST_OPSET:
        raise GgdqError(f"is of opset {version}; {_LEAST_OPSET} and newer can be read", fix=_AGAIN)
    if version > newest:
        raise GgdqError(
            f"is of opset {version}, which the installed package onnx does not know", fix="update it, or " + _AGAIN
        )
    return version


def _converted(model: Any) -> Any:
    """The model in an opset that the operators know; onnx converts those of older ones."""
    from onnx import defs, version_converter

    version = _opset(model, defs.onnx_opset_version())
    if version >= _KNOWN_OPSET:
        return model
    try:
        return version_converter.convert_version(model, _TARGET_OPSET)
    except Exception as error:  # whatever the converter does not know, or a damaged file leads to
        reason = " ".join(str(error).split())[:120]
        raise GgdqError(f"is of opset {version}, and onnx cannot convert it ({reason})", fix=_AGAIN) from error


def _written_out(model: Any, known: Collection[str]) -> Any:
    """The model with the operators that are not ``known`` written out, where ONNX defines them by others."""
    from onnx import defs, inliner

    version = _opset(model, defs.onnx_opset_version())
    kinds = {node.op_type for node in model.graph.node if node.domain in ("", "ai.onnx")} - set(known)
    defined = [("", kind) for kind in sorted(kinds) if _has_body(kind, version)]
    if not known or not defined:
        return model
    for node in model.graph.node:
        if node.domain in ("", "ai.onnx") and ("", node.op_type) in defined:
            _complete(node, version)
    try:
        return inliner.inline_selected_functions(model, defined, exclude=False, inline_schema_functions=True)
    except Exception:  # the operators are then refused, each by its name
        return model


def _complete(node: Any, version: int) -> None:
    """Give a node the attributes that it leaves out at their defaults, which the inliner does not know."""
    from onnx import defs

    given = {attribute.name for attribute in node.attribute}
    for name, attribute in defs.get_schema(node.op_type, version, "").attributes.items():
        if name not in given and attribute.default_value.type:
            node.attribute.append(attribute.default_value)


def _has_body(kind: str, version: int) -> bool:
    """Does ONNX define the operator by others?"""
    from onnx import defs

    try:
        schema: Any = defs.get_schema(kind, version, "")
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _types(model: Any) -> dict[str, int]:
    """Element types by tensor, as far as onnx can infer them."""
    from onnx import shape_inference

    try:
        graph = shape_inference.infer_shapes(model).graph
    except Exception:  # a damaged file; what it breaks is found node by node
        graph = model.graph
    values = (*graph.input, *graph.value_info, *graph.output)
    return {value.name: int(value.type.tensor_type.elem_type) for value in values}


def _inputs(graph: Any, constants: Mapping[str, Array]) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    for value in graph.input:
        if value.name in constants:
            continue  # weights that may be overridden
        where = f"input {value.name[:80]!r}"
        if value.type.WhichOneof("value") != "tensor_type" or not value.type.tensor_type.HasField("shape"):
            raise GgdqError("is no tensor of known shape", where, "export the network with fixed sizes")
        if value.type.tensor_type.elem_type not in _dtypes():
            raise GgdqError("is not of numbers", where, "export the network with a float32 input")
        dimensions = value.type.tensor_type.shape.dim
        yield value.name, tuple(dim.dim_value if dim.HasField("dim_value") else None for dim in dimensions)


def _constants(tensors: Sequence[Any], folder: Path) -> Iterator[tuple[str, Array]]:
    total = 0
    for tensor in tensors:
        total += prod(tensor.dims)
        if total > 2 * MAX_ELEMENTS:
            raise GgdqError(
                f"with it the network has more than {2 * MAX_ELEMENTS} constants", f"tensor {tensor.name[:80]!r}"
            )
        yield tensor.name, array_of(tensor, folder)


def _dtypes() -> Mapping[int, np.dtype[Any]]:
    """NumPy types by ONNX's numbers, of those that weights may have."""
    from onnx import TensorProto, helper

    names = "FLOAT DOUBLE FLOAT16 BFLOAT16 INT8 INT16 INT32 INT64 UINT8 UINT16 UINT32 UINT64 BOOL"
    return {
        number: helper.tensor_dtype_to_np_dtype(number) for number in map(TensorProto.DataType.Value, names.split())
    }


def array_of(tensor: Any, folder: Path) -> Array:
    """The values of a tensor; bfloat16 as float32."""
    from onnx import TensorProto, numpy_helper

    where = f"tensor {tensor.name[:80]!r}"
    dtype = _dtypes().get(tensor.data_type)
    if dtype is None:
        raise GgdqError("is of a type that is not supported", where, "export the network in float32")
    if any(size < 0 for size in tensor.dims) or prod(tensor.dims) > MAX_ELEMENTS:
        raise GgdqError(f"of shape {tuple(tensor.dims)} has more than {MAX_ELEMENTS} elements", where)
    if tensor.data_location == TensorProto.EXTERNAL:
        values = np.frombuffer(_beside(tensor, folder, prod(tensor.dims) * dtype.itemsize), dtype).reshape(tensor.dims)
    else:
        try:
            values = numpy_helper.to_array(tensor)
        except Exception as error:  # whatever a damaged tensor leads to
            raise GgdqError(f"cannot be read ({type(error).__name__}: {error})", where) from error
    return values.astype(np.float32) if dtype.kind not in "fiub" else values


def _beside(tensor: Any, folder: Path, size: int) -> bytes:
    """The bytes of a tensor that lie in a file of their own, in the model's folder."""
    where, fix = f"tensor {tensor.name[:80]!r}", "export it with external_data=False, or keep its .data file beside it"
    entries = {entry.key: entry.value for entry in tensor.external_data}
    name, offset, length = entries.get("location", ""), entries.get("offset", "0"), entries.get("length", str(size))
    path = folder / name
    if not name or name != Path(name).name or "\\" in name or path.is_symlink():
        raise GgdqError(f"lies outside of the model's folder ({name[:80]!r})", where, fix)
    if not path.is_file():
        raise GgdqError(f"lies in {name[:80]!r}, which is not beside the model", where, fix)
    if not (offset.isdecimal() and length.isdecimal()) or int(length) != size:
        raise GgdqError(f"has {length[:20]} bytes in {name[:80]!r} instead of {size}", where, fix)
    if path.stat().st_size > _MAX_BYTES or int(offset) + size > path.stat().st_size:
        raise GgdqError(f"{name[:80]!r} is truncated, or larger than {_MAX_BYTES} bytes", where, fix)
    with path.open("rb") as file:
        file.seek(int(offset))
        return bytes(file.read(size))


def _node(node: Any, index: int, folder: Path) -> FileNode:
    name = node.name or (node.output[0] if node.output else f"{node.op_type}_{index}")
    where = f"node {name[:80]!r} ({node.op_type[:60]})"
    if node.domain not in ("", "ai.onnx"):
        raise GgdqError(f"is of the custom domain {node.domain[:60]!r}", where, "use ONNX's own operators")
    if any(attribute.type in _SUBGRAPHS for attribute in node.attribute):
        raise GgdqError(
            "control flow is not supported", where, "export the network in evaluation mode, with fixed sizes"
        )
    attributes = {attribute.name: _attribute(attribute, folder) for attribute in node.attribute}
    return FileNode(node.op_type, name, tuple(node.input), tuple(node.output), attributes, node)


_SUBGRAPHS = (5, 10)  # AttributeProto.GRAPH and GRAPHS


def _attribute(attribute: Any, folder: Path) -> Any:
    """An attribute as a number, text, list or array; None for what no supported node has."""
    values: dict[int, Any] = {
        1: lambda: float(attribute.f),
        2: lambda: int(attribute.i),
        3: lambda: attribute.s.decode("utf8", "replace"),
        4: lambda: array_of(attribute.t, folder),
        6: lambda: [float(one) for one in attribute.floats],
        7: lambda: [int(one) for one in attribute.ints],
        8: lambda: [one.decode("utf8", "replace") for one in attribute.strings],
    }
    return values[attribute.type]() if attribute.type in values else None
