"""How does a folder come to disk whole or not at all, whenever the program is stopped?"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ggdq_mcu.errors import GgdqError

_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def replace_folder(out: Path, files: Mapping[str, str | bytes]) -> None:
    """Makes ``out`` (an absolute path) the folder that holds ``files``, by path in it, and nothing else.

    Raises GgdqError where it cannot be written; then, as after an interrupt, ``out`` is what it was.
    """
    with staged(out) as fresh:
        try:
            for path, content in files.items():
                target = fresh / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content.encode() if isinstance(content, str) else content)
        except OSError as error:
            raise _unwritable(error, out) from error


@contextmanager
def staged(out: Path, keep: bool = False) -> Iterator[Path]:
    """A folder beside ``out`` (an absolute path) that takes the place of ``out`` when the block ends.

    After an error or an interrupt in the block, ``out`` is what it was; with ``keep``, an error replaces it all the same.
    What a killed process left there is removed first. GgdqError where another process is at it, or nothing can be written.
    """
    fresh, old = (out.parent / f".{out.name}.{word}" for word in ("new", "old"))
    with _locked(out):
        try:
            try:
                if old.exists() and not out.exists():
                    old.rename(out)
                _remove(fresh, old)
                fresh.mkdir(parents=True)
            except OSError as error:
                raise _unwritable(error, out) from error
            try:
                yield fresh
            except GgdqError:
                if keep:
                    _swap(fresh, old, out)
                raise
            _swap(fresh, old, out)
        finally:
            if old.exists() and not out.exists():
                old.rename(out)
            _remove(fresh, old)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Keeps other processes from making the same folder."""
    path = out.parent / f".{out.name}.lock"
    lock = FileLock(path, blocking=False)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        what = "another build is writing this folder"
        raise GgdqError(what, str(out), "wait until it has ended, or choose another --out") from error
    except OSError as error:
        raise _unwritable(error, out) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        lock.release()


def _swap(fresh: Path, old: Path, out: Path) -> None:
    try:
        if not out.exists():
            fresh.rename(out)
        elif not _exchange(fresh, out):
            out.rename(old)
            fresh.rename(out)
    except OSError as error:
        raise _unwritable(error, out) from error


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _unwritable(error: OSError, out: Path) -> GgdqError:
    return GgdqError(f"cannot write the project: {error.strerror}", str(error.filename or out))


def _exchange(first: Path, second: Path) -> bool:
    """Gives two folders each other's name, in one step where the system can (Linux); False where it cannot."""
    if sys.platform != "linux":
        return False
    call = getattr(ctypes.CDLL(None), "renameat2", None)
    return call is not None and call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0
