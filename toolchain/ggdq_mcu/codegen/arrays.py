"""How do constants become C? Array definitions whose bytes are exactly the integers given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "uint16": "uint16_t",
    "int32": "int32_t",
    "uint32": "uint32_t",
    "int64": "int64_t",
}


def c_type(array: NDArray[Any]) -> str:
    """C type of the array's elements."""
    return _C_TYPES[array.dtype.name]


def declaration(name: str, array: NDArray[Any]) -> str:
    """``_Alignas(8) const int8_t name[4]``: what definition and header share.

    Where only the definition says how it is aligned, clang may take more for granted of what it does not see.
    """
    return f"_Alignas(8) const {c_type(array)} {name}[{array.size}]"


def definition(name: str, array: NDArray[Any], width: int = 100) -> str:
    """The array as an aligned C definition, its values in rows.

    >>> definition("w", np.array([1, -2], np.int8))
    '_Alignas(8) const int8_t w[2] = {\\n    1, -2,\\n};'
    """
    texts = [_literal(value, array.dtype) for value in array.ravel().tolist()]
    column = max(map(len, texts), default=1) + 2
    per_row = max(1, (width - 4) // column)
    rows = (", ".join(texts[i : i + per_row]) + "," for i in range(0, len(texts), per_row))
    return f"{declaration(name, array)} = {{\n" + "\n".join(f"    {row}" for row in rows) + "\n};"


def single(value: float) -> str:
    """The nearest single-precision number as a C constant.

    >>> single(0.1), single(-128)
    ('0.1f', '-128.0f')
    """
    return f"{np.float32(value)!s}f"


def _literal(value: int, dtype: np.dtype[Any]) -> str:
    if dtype == np.int32 and value == -(2**31):
        return "INT32_MIN"
    if dtype == np.int64:
        return "INT64_MIN" if value == -(2**63) else f"INT64_C({value})"
    return f"{value}u" if dtype == np.uint32 else str(value)
