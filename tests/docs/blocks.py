"""The code blocks of the documents, and how each is run.

A block is run as its language says, in its page's own folder, in the order of the page. A comment before it may say
otherwise: `<!-- file: NAME -->` writes it to a file that a later block uses, `<!-- not run: WHY -->` leaves it out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
_FENCE = re.compile(r"(?:^<!-- (file|not run): (.+?) -->\n)?^(`{3,})(\w*)\n(.*?)^\3", re.MULTILINE | re.DOTALL)
_TYPED = re.compile(r"^ {4}(?:\$ )?(?:ggdq-mcu|python3?|pip|pio|make|cmake|\./run|eval|git|cp|cd) ", re.MULTILINE)
TEXT = {"text", "ini", "json", "html", "toml"}  # languages of which there is nothing to run


@dataclass(frozen=True)
class Block:
    """A block of a page: its language, its text; ``file`` to write it to, or the reason ``why`` it is not run."""

    page: str
    language: str
    text: str
    file: str = ""
    why: str = ""


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page."""
    found = []
    for mark, value, _, language, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        marks = {"file": value} if mark == "file" else {"why": value} if mark else {}
        found.append(Block(page.name, language, text, **marks))
    return found


def typed_commands(page: Path) -> list[str]:
    """Commands in indented blocks, where nothing would run them."""
    return _TYPED.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))


def run(block: Block, folder: Path) -> None:
    """Runs a block in ``folder``; AssertionError with what it said where it fails."""
    if block.file:
        (folder / block.file).write_text(block.text, encoding="utf-8")
        return
    lines = {
        "sh": ["bash", "-euo", "pipefail", "-c", block.text],
        "python": [sys.executable, "-c", block.text],
        "c": ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", *_includes(folder), "-xc", "-"],
    }
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{folder / 'toolchain'}{os.pathsep}{ROOT}",
        "GGDQ_PIO": "local",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    done = subprocess.run(
        lines[block.language],
        cwd=folder,
        input=block.text,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{block.page}:\n{block.text}\n{done.stdout}{done.stderr}"


def _includes(folder: Path) -> list[str]:
    return [f"-I{path}" for path in sorted(folder.glob("*/lib/*/src"))]
