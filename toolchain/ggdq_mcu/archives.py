"""What do zipfile, zlib, json and NumPy raise for a file that somebody has damaged?"""

from __future__ import annotations

import lzma
import zipfile
import zlib

DAMAGED: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # encrypted; a version or compression that is not implemented; JSON that is nested too deep
    TypeError,
    ValueError,
)
