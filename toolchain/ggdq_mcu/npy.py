"""How is an array read that nobody vouches for? Its header first: what it announces has to be there."""

from __future__ import annotations

from math import prod
from tokenize import TokenError
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def read_array(file: IO[bytes], size: int) -> NDArray[Any]:
    """The array in a .npy of ``size`` bytes; ValueError where its shape needs more, before any memory is taken."""
    start = file.tell()
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"array format {version}")
    header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = header(file)
    except (SyntaxError, TokenError, RecursionError) as error:  # the header is an expression in Python, which is parsed
        raise ValueError(f"an array without a header ({error})") from error
    if dtype.kind not in "biufcSU":
        raise ValueError(f"an array of type {str(dtype)[:60]}, neither numbers nor texts")
    if prod(shape) * dtype.itemsize > size:
        raise ValueError(f"an array of shape {shape} in {size} bytes")
    file.seek(start)
    array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return array
