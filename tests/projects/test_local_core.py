"""PlatformIO's core folder of what is installed heals itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ggdq_mcu.projects import local_core


@pytest.mark.parametrize("damage", ["file gone", "file cut", "folder gone", "no list"])
def test_a_damaged_core_folder_is_made_anew(damage: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GGDQ_CACHE", str(tmp_path))
    core = local_core.prepare()
    script = core / "packages" / "tool-scons" / "scons.py"
    whole = script.read_bytes()
    if damage == "file gone":
        script.unlink()
    elif damage == "file cut":
        script.write_bytes(whole[:10])
    elif damage == "folder gone":
        shutil.rmtree(core / "platforms")
    else:
        (core / "content.json").write_text("[")
    assert local_core.prepare() == core
    assert script.read_bytes() == whole
    assert (core / "platforms" / "native.pio-link").is_file()
