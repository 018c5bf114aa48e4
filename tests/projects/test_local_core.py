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


@pytest.mark.parametrize(
    ("setting", "answers", "compiler", "fetched", "chosen"),
    [
        ("local", True, True, False, True),
        ("online", False, True, False, False),
        (None, False, True, False, True),
        (None, True, True, False, False),
        (None, False, False, False, False),
        (None, False, True, True, False),
    ],
)
def test_it_is_chosen_or_all_there_is(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    setting: str | None,
    answers: bool,
    compiler: bool,
    fetched: bool,
    chosen: bool,
) -> None:
    monkeypatch.delenv("GGDQ_PIO")
    if setting:
        monkeypatch.setenv("GGDQ_PIO", setting)
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path))
    if fetched:
        (tmp_path / "packages/toolchain-gccarmnoneeabi").mkdir(parents=True)
    monkeypatch.setattr(local_core, "registry_answers", lambda: answers)
    monkeypatch.setattr(local_core.shutil, "which", lambda name: f"/bin/{name}" if compiler else None)
    local_core._nothing_else.cache_clear()
    try:
        assert local_core.is_chosen() == chosen
        assert local_core.fell_back() == (chosen and setting is None)
    finally:
        local_core._nothing_else.cache_clear()


def test_a_registry_that_refuses_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    import platformio

    monkeypatch.setattr(platformio, "__registry_mirror_hosts__", ["127.0.0.1:9"])
    assert not local_core.registry_answers()
