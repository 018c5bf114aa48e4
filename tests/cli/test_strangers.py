"""Projects that were not made on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import networks
import pytest

from ggdq_mcu import boards, projects
from ggdq_mcu.projects.made_here import is_made_here


def test_a_project_is_known_where_it_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    projects.write(tmp_path / "p", boards.load("host"), networks.tiny())
    assert is_made_here(tmp_path / "p" / "ggdq.json")
    (tmp_path / "p" / "ggdq.json").write_text("{}")
    assert not is_made_here(tmp_path / "p" / "ggdq.json")
    projects.write(tmp_path / "p", boards.load("host"), networks.tiny())
    monkeypatch.setenv("GGDQ_CACHE", str(tmp_path / "another"))
    assert not is_made_here(tmp_path / "p" / "ggdq.json")


def test_its_code_is_told_to_run_before_it_does(
    cli: Any, examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli("build", examples / "digits.h5", "--board", "host", "--no-compile", "--out", tmp_path / "p").code == 0
    monkeypatch.setenv("GGDQ_CACHE", str(tmp_path / "another"))
    note = "was not made on this machine"
    arguments = "verify", tmp_path / "p", "--on", "host", "--count", 1
    assert note in cli(*arguments).err
    assert note not in cli(*arguments, "--trust").err
    assert note not in cli("verify", tmp_path / "p", "--on", "reference").err
