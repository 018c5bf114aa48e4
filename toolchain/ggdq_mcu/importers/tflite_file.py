"""How is a TFLite file read that nobody vouches for? By the schema's generated readers, every number checked before use.

A FlatBuffer's offsets point where they like: what they reach outside of the file is an error of the readers, which only
ever read numbers and views of the file. Nothing is copied or allocated by a size that the file announces.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers.tflite_sparse import dense_of
from ggdq_mcu.sources.keras import MAX_ELEMENTS
from ggdq_mcu.sources.tflite import Array, Tensor

IDENTIFIER = b"TFL3"
_MAX_BYTES = 1 << 29
_MAX_TENSORS = 1 << 16
_MAX_OPERATORS = 5000
_MAX_SUBGRAPHS = 256
_MAX_RANK = 8
_MAX_NAME = 1 << 12
_INT4 = 17  # in the schema
#: NumPy's types by the names in the schema; tensors of others are no numbers.
_TYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT16": np.int16,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT16": np.uint16,
    "UINT32": np.uint32,
    "UINT64": np.uint64,
    "BOOL": np.bool_,
    "INT4": np.int8,  # stored two by two
}


@dataclass(frozen=True, eq=False)
class FileOperator:
    """An operator as the file has it: its kind, the indices of its tensors (-1: left out), its options by name."""

    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Callable[[str], Any]


@dataclass(frozen=True, eq=False)
class TFLiteFile:
    """A graph of a file: constants have their values, and no tensor has a node yet.

    ``subgraphs``: of the main graph, all graphs of the file, itself the first, for operators that call them by number.
    """

    tensors: tuple[Tensor, ...]
    operators: tuple[FileOperator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraphs: tuple[TFLiteFile, ...] = ()


def is_tflite(path: Path) -> bool:
    """Does the file say that it is one?"""
    with path.open("rb") as file:
        return file.read(8)[4:] == IDENTIFIER


def read(path: Path) -> TFLiteFile:
    """The main graph of the file; GgdqError for anything that the schema does not allow."""
    schema = _schema()
    if path.stat().st_size > _MAX_BYTES:
        raise GgdqError(f"is larger than {_MAX_BYTES} bytes")
    try:
        model = schema.Model.GetRootAs(path.read_bytes(), 0)
        count = _bounded("graphs", model.SubgraphsLength(), _MAX_SUBGRAPHS)
        if count < 1:
            raise GgdqError("holds no graph")
        graphs = tuple(_read(schema, model, model.Subgraphs(index)) for index in range(count))
        main = graphs[0]
        if not main.inputs or not main.outputs:
            raise GgdqError("the network has no inputs or no outputs")
        _check_sizes(model.Subgraphs(0), main)
        return replace(main, subgraphs=graphs)
    except (struct.error, TypeError, ValueError, LookupError, AttributeError, OverflowError, MemoryError) as error:
        raise GgdqError(f"damaged or malformed TFLite file ({type(error).__name__}: {error})") from error


def _schema() -> Any:
    try:
        import tflite
    except ImportError as error:
        raise GgdqError("reading a TFLite file needs its schema", fix="pip install 'ggdq-mcu[tflite]'") from error
    return tflite


def _read(schema: Any, model: Any, graph: Any) -> TFLiteFile:
    count = _bounded("tensors", graph.TensorsLength(), _MAX_TENSORS)
    operators = _bounded("operators", graph.OperatorsLength(), _MAX_OPERATORS)
    types = {getattr(schema.TensorType, name): np.dtype(kind) for name, kind in _TYPES.items()}
    tensors = tuple(_tensor(model, graph.Tensors(i), i, types) for i in range(count))
    inputs, outputs = _indices(graph.InputsAsNumpy(), count, 0), _indices(graph.OutputsAsNumpy(), count, 0)
    found = tuple(_operator(schema, model, graph.Operators(i), count) for i in range(operators))
    return TFLiteFile(tensors, found, inputs, outputs)


def _check_sizes(graph: Any, main: TFLiteFile) -> None:
    for index in main.inputs:
        signature = np.atleast_1d(graph.Tensors(index).ShapeSignatureAsNumpy())
        if np.any(signature[1:] < 0):
            where = f"input {main.tensors[index].name[:80]!r}"
            raise GgdqError(f"its shape {tuple(signature.tolist())} is not fixed", where, "convert it with fixed sizes")


def _bounded(what: str, number: int, most: int) -> int:
    if number > most:
        raise GgdqError(f"has {number} {what}; at most {most}")
    return number


def _indices(values: Any, count: int, least: int) -> tuple[int, ...]:
    """Indices of tensors; an empty vector of the schema is the number 0."""
    indices = tuple(int(value) for value in np.atleast_1d(values)) if np.ndim(values) else ()
    if any(not least <= index < count for index in indices):
        raise GgdqError(f"names a tensor {min(indices)}..{max(indices)} of {count}")
    return indices


def _tensor(model: Any, tensor: Any, index: int, types: Mapping[int, np.dtype[Any]]) -> Tensor:
    name = (tensor.Name() or b"")[:_MAX_NAME].decode("utf8", "replace") or f"tensor_{index}"
    where = f"tensor {name[:80]!r}"
    dtype = types.get(tensor.Type(), np.dtype(np.void))
    shape = tuple(int(size) for size in tensor.ShapeAsNumpy()) if tensor.ShapeLength() else ()
    if len(shape) > _MAX_RANK or any(size < 0 for size in shape) or prod(shape) > MAX_ELEMENTS:
        raise GgdqError(f"shape {shape[:_MAX_RANK]} is not one of at most {MAX_ELEMENTS} elements", where)
    buffer = _bounded("buffers", tensor.Buffer(), model.BuffersLength() - 1)
    sparsity = tensor.Sparsity()
    if sparsity is not None:
        size, expand = dense_of(sparsity, shape, where)
        stored = _stored(model.Buffers(buffer), (size,), dtype, where) if buffer else None
        stored = None if stored is None else expand(stored)
    elif types.get(tensor.Type()) is not None and tensor.Type() == _INT4:
        packed = _stored(model.Buffers(buffer), ((prod(shape) + 1) // 2,), dtype, where) if buffer else None
        stored = None if packed is None else _halves(packed, shape)
    else:
        stored = _stored(model.Buffers(buffer), shape, dtype, where) if buffer else None
    scales, zero_points, axis = _quantization(tensor.Quantization(), shape, where)
    fixed = not np.any(np.atleast_1d(tensor.ShapeSignatureAsNumpy()) < 0)
    return Tensor(name, shape, dtype, scales, zero_points, axis, "", stored, fixed, bool(tensor.IsVariable()))


def _halves(packed: Array, shape: tuple[int, ...]) -> Array:
    """Numbers of 4 bits with a sign, the lower half of each byte first."""
    pairs = np.stack([(packed << 4).astype(np.int8) >> 4, packed >> 4], axis=1)
    return pairs.ravel()[: prod(shape)].reshape(shape)


def _stored(buffer: Any, shape: tuple[int, ...], dtype: np.dtype[Any], where: str) -> Array | None:
    """The constant in a buffer; None where it is empty, as those of values that are computed are."""
    if buffer.Offset() > 1:
        raise GgdqError("lies outside of the FlatBuffer, which is not supported", where)
    if not buffer.DataLength():
        return None
    content = buffer.DataAsNumpy()
    if dtype.kind == "V":
        return np.zeros(0, np.int8)  # no numbers; whoever needs them says so
    if content.nbytes != prod(shape) * dtype.itemsize:
        raise GgdqError(f"has {content.nbytes} bytes for {dtype} of shape {shape}", where)
    values: Array = np.frombuffer(content.tobytes(), dtype.newbyteorder("<")).reshape(shape)
    return values.astype(dtype, copy=False)


def _quantization(parameters: Any, shape: tuple[int, ...], where: str) -> tuple[Array, Array, int]:
    if parameters is None or not parameters.ScaleLength():
        return np.zeros(0), np.zeros(0, np.int64), 0
    scales = np.asarray(parameters.ScaleAsNumpy(), np.float64)
    points = (
        np.asarray(parameters.ZeroPointAsNumpy(), np.int64) if parameters.ZeroPointLength() else np.zeros(1, np.int64)
    )
    # Some converters give a vector the axis that its layer's weights have: it has only one.
    axis = 0 if len(shape) == 1 else int(parameters.QuantizedDimension())
    fits = scales.size == 1 or (0 <= axis < len(shape) and scales.size == shape[axis])
    if not fits or points.size not in (1, scales.size) or not np.all(np.isfinite(scales) & (scales > 0)):
        raise GgdqError(f"{scales.size} scales and {points.size} zero points do not fit shape {shape}", where)
    if np.any(np.abs(points) > 1 << 16):
        raise GgdqError("has a zero point beyond 16 bits", where)
    return scales, np.broadcast_to(points, scales.shape), axis


def _operator(schema: Any, model: Any, operator: Any, count: int) -> FileOperator:
    index = operator.OpcodeIndex()
    code = model.OperatorCodes(_bounded("operator codes", index, model.OperatorCodesLength() - 1))
    kind = _names(schema.BuiltinOperator).get(max(code.BuiltinCode(), code.DeprecatedBuiltinCode()), "UNKNOWN")
    if kind == "CUSTOM":
        kind = f"CUSTOM {(code.CustomCode() or b'')[:40].decode('utf8', 'replace')}"
    return FileOperator(
        kind,
        _indices(operator.InputsAsNumpy(), count, -1),
        _indices(operator.OutputsAsNumpy(), count, 0),
        _options(schema, operator),
    )


def _options(schema: Any, operator: Any) -> Callable[[str], Any]:
    """Options by their names in the schema; None for all where the file has no table of them."""
    table, kind = operator.BuiltinOptions(), _names(schema.BuiltinOptions).get(operator.BuiltinOptionsType())
    reader = getattr(schema, kind or "", None)
    if table is None or reader is None:
        return lambda _: None
    options = reader()
    options.Init(table.Bytes, table.Pos)

    def option(key: str) -> Any:
        try:
            return getattr(options, key)() if hasattr(options, key) else None
        except struct.error as error:
            raise GgdqError(f"damaged or malformed TFLite file ({error})") from error

    return option


@cache
def _names(enumeration: Any) -> dict[int, str]:
    """The names of an enumeration of the schema by their numbers."""
    return dict(_members(enumeration))


def _members(enumeration: Any) -> Iterator[tuple[int, str]]:
    for name, value in vars(enumeration).items():
        if isinstance(value, int):
            yield value, name
