"""Projects get to disk whole, replace only what is ours, and are the same every time."""

from __future__ import annotations

from pathlib import Path

import networks
import pytest
from firmware_fixtures import samples

from ggdq_mcu import boards, projects
from ggdq_mcu.errors import GgdqError

NUCLEO = boards.load("nucleo")


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        projects.write(tmp_path / name, NUCLEO, networks.tiny(), samples(2))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


def test_a_project_of_ours_is_replaced_as_a_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    projects.write(out, NUCLEO, networks.tiny(), samples(2))
    projects.write(out, boards.load("host"), networks.pair())
    projects.write(tmp_path / "new", boards.load("host"), networks.pair())
    assert tree(out) == tree(tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "out"]


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    projects.write(tmp_path, NUCLEO, networks.tiny())
    assert (tmp_path / projects.MANIFEST).is_file()


def test_somebody_elses_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(GgdqError, match="was not created by ggdq-mcu"):
        projects.write(tmp_path, NUCLEO, networks.tiny())
    assert tree(tmp_path) == {"thesis.txt": b"years of work"}


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.write_text("mine")
    with pytest.raises(GgdqError, match="not a folder"):
        projects.write(out, NUCLEO, networks.tiny())
    assert out.read_text() == "mine"


def test_a_failure_leaves_no_half_project(tmp_path: Path) -> None:
    out = tmp_path / "out"
    projects.write(out, NUCLEO, networks.tiny())
    before = tree(out)
    broken = networks.tiny() | {"ggdq.json/below": "a file cannot be a folder"}
    with pytest.raises(GgdqError, match="cannot write the project"):
        projects.write(out, NUCLEO, broken)
    assert tree(out) == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_board_whose_port_does_not_exist_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(NUCLEO.manifest.read_text().replace('"stm32f4"', '"stm32x9"'))
    with pytest.raises(GgdqError, match=r"mine: there is no firmware/ports/clock_stm32x9.c"):
        projects.write(tmp_path / "out", boards.load(path), networks.tiny())
    assert not (tmp_path / "out").exists()
