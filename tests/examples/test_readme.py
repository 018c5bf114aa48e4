"""README says what the commands say: its figures, its commands, its links."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from ggdq_mcu.cli import group

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
COUNTS = {"elements compared with the reference", "of these different", "multiply-accumulates"}


def number(text: str) -> float:
    found = re.search(r"[\d.]+", text)
    assert found is not None, text
    return float(found[0])


def test_figures_are_those_of_the_commands() -> None:
    spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
    assert spec is not None
    assert spec.loader is not None
    figures = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(figures)
    block = README.split(figures.BEGIN)[1].split(figures.END)[0]
    written = {row[1].strip(): row[2].strip() for row in (line.split("|") for line in block.splitlines()[2:])}
    measured = {what: figure for what, figure, _ in figures.table(figures.measured())}
    assert written.keys() == measured.keys()
    for what, figure in measured.items():
        # Another compiler or BLAS moves the other figures a little; stale ones are further off.
        tolerance = 0 if what in COUNTS else 0.1
        assert number(written[what]) == pytest.approx(number(figure), rel=tolerance), (
            f"{what}: README has {written[what]}, today it is {figure}; run python docs/figures.py"
        )


def test_every_command_named_in_the_documents_exists() -> None:
    texts = [README, *(path.read_text() for path in (ROOT / "docs").glob("*.md"))]
    named = {name for text in texts for name in re.findall(r"ggdq-mcu ([a-z][a-z-]*)", text)}
    assert {"build", "verify", "evaluate", "profile", "inspect"} <= named
    assert named <= set(group.list_commands(None))  # type: ignore[arg-type]


def test_every_link_leads_somewhere() -> None:
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_every_dependency_has_its_reason() -> None:
    project = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0]
    needed = set(re.findall(r'"([a-z0-9-]+)[>=<]', project))
    told = set(re.findall(r"^\| ([a-z0-9-]+) \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE))
    assert needed == told - {"package"}
