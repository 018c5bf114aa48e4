"""Where do working files lie that must not outlive the program, and who removes those of a program that was killed?

A folder in use is locked, and a lock ends with its process, whatever ended it: an unlocked one is a leftover.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from ggdq_mcu.errors import GgdqError

try:
    import fcntl
except ImportError:  # Windows: no locks, and so no leftovers that are known to be ones
    fcntl = None  # type: ignore[assignment]

_PREFIX = "ggdq-mcu-"


class FolderLock:
    """A lock on an existing folder, held until ``close`` or the end of the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._descriptor = -1 if fcntl is None else os.open(folder, os.O_RDONLY)

    def take(self, wait: bool) -> bool:
        """Take the lock; False where another process has it (``wait``: wait for it), or the folder is gone meanwhile."""
        if fcntl is None:
            return True
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self._folder))
        except (BlockingIOError, FileNotFoundError):
            return False

    def close(self) -> None:
        """Release the lock."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Scratch:
    """A temporary folder, ``path``: removed at the end, or, if the program is killed, by the next one that needs a folder.

    GgdqError where there is no room for it.
    """

    def __init__(self, purpose: str) -> None:
        try:
            _sweep(Path(tempfile.gettempdir()))
            while True:
                self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{purpose}-"))
                self._lock = FolderLock(self.path)
                if self._lock.take(wait=False):
                    break
                self._lock.close()  # another process took it for a leftover before it was locked
        except OSError as error:
            fix = "free some room there, or set TMPDIR to another folder"
            raise GgdqError(f"no temporary folder: {error.strerror}", str(error.filename or "TMPDIR"), fix) from error

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_: object) -> None:
        self.close()


def _sweep(parent: Path) -> None:
    """Remove the user's scratch folders in ``parent`` that no process holds."""
    if fcntl is None:
        return
    for entry in os.scandir(parent):
        if not re.fullmatch(_PREFIX + r"[a-z]+-\w{8}", entry.name) or not entry.is_dir(follow_symlinks=False):
            continue
        try:
            if entry.stat(follow_symlinks=False).st_uid != os.getuid():
                continue
            lock = FolderLock(Path(entry.path))
        except OSError:  # another process removes it
            continue
        if lock.take(wait=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        lock.close()
