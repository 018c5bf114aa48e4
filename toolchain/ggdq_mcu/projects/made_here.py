"""Was a project made on this machine? The hash of its manifest is in the user's cache, not in the project."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ggdq_mcu.projects.local_core import cache


def remember(manifest: bytes) -> None:
    """Keeps in the user's cache that a project with this manifest was written here; without a cache it is not kept."""
    place = _place(manifest)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    except OSError:
        return


def is_made_here(manifest: Path) -> bool:
    """Was the project of this manifest written by this user on this machine?"""
    try:
        return _place(manifest.read_bytes()).is_file()
    except OSError:
        return False


def _place(manifest: bytes) -> Path:
    return cache() / "made" / hashlib.sha256(b"ggdq-mcu project\n" + manifest).hexdigest()
