"""How does a folder come to disk whole or not at all, whenever the program is stopped?"""

from __future__ import annotations

import ctypes
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from ggdq_mcu.errors import GgdqError

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def replace_folder(out: Path, files: Mapping[str, str | bytes]) -> None:
    """Makes ``out`` (an absolute path) the folder that holds ``files``, by path in it, and nothing else.

    The folder is built beside ``out`` and then swapped in. Raises GgdqError where it cannot be written; then, as after
    an interrupt, ``out`` is what it was.
    """
    token = secrets.token_hex(4)
    fresh, old = (out.parent / f".{out.name}.{token}.{word}" for word in ("new", "old"))
    try:
        for path, content in files.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        if not out.exists():
            fresh.rename(out)
        elif not _exchange(fresh, out):
            out.rename(old)
            fresh.rename(out)
    except OSError as error:
        raise GgdqError(f"cannot write the project: {error.strerror}", str(error.filename or out)) from error
    finally:
        if old.exists() and not out.exists():
            old.rename(out)
        for folder in (fresh, old):
            shutil.rmtree(folder, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Gives two folders each other's name, in one step where the system can (Linux); False where it cannot."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0
