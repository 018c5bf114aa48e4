"""What the site does with the documents: README is its first page, and lists begin without an empty line before them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """README as index.md, its links as seen from docs/."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    files.append(File.generated(config, "index.md", content=re.sub(r"\]\(docs/", "](", text)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """GitHub's Markdown lets a list or a table follow a paragraph's line; Python's wants an empty line between."""
    return re.sub(r"^((?![ *|>#-]|\d+\.).+\n)(?=[*|-] |\d+\. |\|)", r"\1\n", markdown, flags=re.MULTILINE)
