"""The documents make a site: every link leads somewhere, and no page asks another server for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from blocks import PAGES, ROOT

# What a browser loads without being asked; links that a reader follows are none of these.
_LOADED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b[^>]*\bhref=\"(?:https?:)?//|url\(\"?https?:"
)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    line = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-q",
        "-f",
        str(ROOT / "mkdocs.yml"),
        "-d",
        str(tmp_path),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(line, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    names = {"index" if page.name == "README.md" else page.stem for page in PAGES}
    assert names <= {page.stem for page in tmp_path.glob("*.html")}
    for page in tmp_path.rglob("*.html"):
        assert not _LOADED.search(page.read_text(encoding="utf-8")), page.name
    for style in tmp_path.rglob("*.css"):
        assert not re.search(r"url\([\"']?https?:|@import", style.read_text(encoding="utf-8")), style.name
