"""A copy of what of the repository somebody changes who adds an operator."""

from __future__ import annotations

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
_IGNORED = shutil.ignore_patterns("__pycache__")


def check_out(folder: Path) -> None:
    """Copies the toolchain, its templates, firmware and boards, and the tests of operators to ``folder``."""
    for name in ("toolchain", "templates", "firmware", "boards"):
        shutil.copytree(ROOT / name, folder / name, ignore=_IGNORED)
    for name in ("operators", "importers"):
        shutil.copytree(ROOT / "tests" / name, folder / "tests" / name, ignore=_IGNORED)
    for path in ("pyproject.toml", "tests/conftest.py", "tests/effort.py", "tests/once.py"):
        shutil.copy(ROOT / path, folder / path)
