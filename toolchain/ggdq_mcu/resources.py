"""Where are the templates, the firmware and the boards: in a checkout, and in an installed wheel?"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def root(name: str) -> Path:
    """Folder of package data ``name``: "templates", "firmware" or "boards"."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parents[1] / name
