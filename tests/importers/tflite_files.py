"""TFLite files made by hand, for what the converter does not make: rare operators, uint8, and what no file should hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import tflite

TYPES = {"float32": 0, "float16": 1, "int32": 2, "uint8": 3, "int64": 4, "bool": 6, "int16": 7, "int8": 9}


@dataclass(frozen=True)
class FileTensor:
    """A tensor: its shape and type or, for a constant, its values; its quantization."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    values: Any = None
    scales: Sequence[float] = ()
    zero_points: Sequence[int] = ()
    axis: int = 0
    name: str = ""
    type_number: int | None = None
    buffer: int | None = None
    variable: bool = False


@dataclass(frozen=True)
class Op:
    """An operator: its kind, the indices of what it reads and makes, and its options by the name of their table."""

    kind: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    table: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def constant(values: Any, dtype: str = "float32", **others: Any) -> FileTensor:
    """A constant tensor."""
    array = np.asarray(values, dtype)
    return FileTensor(array.shape, dtype, array, **others)


def write(
    path: Path, tensors: Sequence[FileTensor], operators: Sequence[Op], inputs: Sequence[int], outputs: Sequence[int]
) -> Path:
    """A file of one graph."""
    b = flatbuffers.Builder(1024)
    stored = [b"", *(one.values.tobytes() for one in tensors if one.values is not None)]
    data = [b.CreateByteVector(content) if content else 0 for content in stored]
    buffers = [_table(b, "Buffer", Data=one) if one else _table(b, "Buffer") for one in data]
    numbers = iter(range(1, len(stored)))
    made = [_tensor(b, i, one, 0 if one.values is None else next(numbers)) for i, one in enumerate(tensors)]
    kinds = sorted({one.kind for one in operators})
    ops = [_operator(b, one, kinds.index(one.kind)) for one in operators]
    parts = {
        "Tensors": _offsets(b, made),
        "Inputs": _integers(b, inputs),
        "Outputs": _integers(b, outputs),
        "Operators": _offsets(b, ops),
    }
    graph = _table(b, "SubGraph", **parts)
    codes = [getattr(tflite.BuiltinOperator, kind) for kind in kinds]
    codes = [
        _table(b, "OperatorCode", DeprecatedBuiltinCode=min(code, 127), BuiltinCode=code, Version=1) for code in codes
    ]
    parts = {"OperatorCodes": _offsets(b, codes), "Subgraphs": _offsets(b, [graph]), "Buffers": _offsets(b, buffers)}
    b.Finish(_table(b, "Model", Version=3, **parts), b"TFL3")
    path.write_bytes(bytes(b.Output()))
    return path


def _tensor(b: Any, index: int, one: FileTensor, buffer: int) -> int:
    name, shape = b.CreateString(one.name or f"tensor_{index}"), _integers(b, one.shape)
    fields: dict[str, Any] = {"Shape": shape, "Name": name, "IsVariable": one.variable}
    if len(one.scales):
        points = np.asarray(one.zero_points or [0] * len(one.scales), np.int64)
        parts = {
            "Scale": b.CreateNumpyVector(np.asarray(one.scales, np.float32)),
            "ZeroPoint": b.CreateNumpyVector(points),
        }
        fields["Quantization"] = _table(b, "QuantizationParameters", **parts, QuantizedDimension=one.axis)
    number = TYPES[one.dtype] if one.type_number is None else one.type_number
    return _table(b, "Tensor", Type=number, Buffer=buffer if one.buffer is None else one.buffer, **fields)


def _operator(b: Any, one: Op, code: int) -> int:
    inputs, outputs = _integers(b, one.inputs), _integers(b, one.outputs)
    fields: dict[str, Any] = {"OpcodeIndex": code, "Inputs": inputs, "Outputs": outputs}
    if one.table:
        fields["BuiltinOptions"] = _table(b, one.table, **one.options)
        fields["BuiltinOptionsType"] = getattr(tflite.BuiltinOptions, one.table)
    return _table(b, "Operator", **fields)


def _table(b: Any, kind: str, **fields: Any) -> int:
    getattr(tflite, f"{kind}Start")(b)
    for key, value in fields.items():
        getattr(tflite, f"{kind}Add{key}")(b, value)
    return int(getattr(tflite, f"{kind}End")(b))


def _integers(b: Any, values: Sequence[int]) -> int:
    return int(b.CreateNumpyVector(np.asarray(values, np.int32)))


def _offsets(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())
