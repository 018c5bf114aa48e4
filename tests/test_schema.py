"""JSON and networks that somebody has changed on purpose: read as what they are, or refused in one line."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ggdq_mcu import GgdqError, boards
from ggdq_mcu.pipeline import check
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.projects.writing import App, board_files

ROOT = Path(__file__).parents[1]
BOARD = json.loads((ROOT / "boards" / "nucleo_f446re.json").read_text())
BASELINE = {"accuracy": 0.9, "agreement": None, "flash_bytes": 1000, "ram_bytes": 10, "instructions": 5}
DEEP = "[" * 100_000
#: What stands where something else was.
VALUES: list[Any] = [
    None, True, -1, 0, 3, 2**31, 2**63, 2**200, 0.5, 1e308, float("inf"), float("nan"), "", "x", "../../etc/passwd", "a\nb",
    "!touch /tmp/x", "${__import__('os').system('x')}", "x" * 5000, [], [1], [[]], {}, {"a": 1}, ["a"] * 1000, -(2**31), "0x0",
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of everything in a JSON value."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], new: Any, how: str) -> Any:
    """A copy in which the item at ``path`` is ``new``, or gone, or has a neighbour with a key that nobody knows."""
    copy = json.loads(json.dumps(value))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    if how == "gone":
        del inner[path[-1]]
    elif how == "more" and isinstance(inner, dict):
        inner["nobody knows"] = new
    else:
        inner[path[-1]] = new
    return copy


def refused_or_read(read: Callable[[], object]) -> None:
    try:
        read()
    except GgdqError as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 2000


changes = st.tuples(st.integers(0, 10**6), st.sampled_from(VALUES), st.sampled_from(["put", "put", "gone", "more"]))


def fuzz(value: Any, write: Callable[[str], object], read: Callable[[], object], count: int) -> None:
    found = list(places(value))

    @settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))
    @given(changes)
    def each(change: tuple[int, Any, str]) -> None:
        number, new, how = change
        write(json.dumps(changed(value, found[number % len(found)], new, how)))
        refused_or_read(read)

    each()


TIMES = [1, pytest.param(50, marks=pytest.mark.nightly)]


@pytest.mark.parametrize("times", TIMES)
def test_changed_boards_make_a_project_or_are_refused(tmp_path: Path, times: int) -> None:
    path = tmp_path / "mine.json"
    before = {file.name for file in ROOT.iterdir()} | {".hypothesis"}  # Hypothesis' own folder, made at its first run

    def read() -> None:
        board_files(boards.load(path), App())

    fuzz(BOARD, path.write_text, read, 100 * times)
    assert {file.name for file in tmp_path.iterdir()} == {"mine.json"}
    assert {file.name for file in ROOT.iterdir()} | {".hypothesis"} == before


@pytest.mark.parametrize("times", TIMES)
def test_changed_baselines_are_read_or_refused(tmp_path: Path, times: int) -> None:
    path = tmp_path / "baseline.json"
    fuzz(BASELINE, path.write_text, lambda: check._read(path), 60 * times)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ggdq_mcu.pipeline.build import Request, build

    out = tmp_path_factory.mktemp("schema") / "digits"
    return build(Request(ROOT / "examples" / "digits.h5", "host", out, compile=False)).folder


@pytest.mark.parametrize("times", TIMES)
def test_changed_manifests_are_read_or_refused(project: Path, tmp_path: Path, times: int) -> None:
    good = json.loads((project / "ggdq.json").read_text())

    def read() -> None:
        opened = open_project(tmp_path)
        opened.described()
        _ = opened.board

    fuzz(good, (tmp_path / "ggdq.json").write_text, read, 60 * times)


@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("name", ["model.ggdq", "float.ggdq"])
def test_changed_networks_are_read_or_refused(project: Path, tmp_path: Path, name: str, times: int) -> None:
    for file in project.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with zipfile.ZipFile(project / name) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    good = json.loads(members["graph.json"])

    def write(text: str) -> None:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            for member, data in {**members, "graph.json": text.encode()}.items():
                archive.writestr(member, data)
        (tmp_path / name).write_bytes(content.getvalue())

    def read() -> None:
        opened = open_project(tmp_path)
        if name == "model.ggdq":
            assert opened.network.shapes
        else:
            assert opened.float_network.shapes

    fuzz(good, write, read, 60 * times)


@pytest.mark.parametrize(
    "text", [DEEP, '{"a":' * 100_000, "", "null", "[]", '"x"', "\ufeff{}", "{} {}", "1e999", "\x00"]
)
def test_texts_that_are_no_such_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ggdq.json"
    path.write_text(text)
    for read in (lambda: boards.load(path), lambda: check._read(path), lambda: open_project(tmp_path)):
        with pytest.raises(GgdqError, match=r"ggdq.json: not a") as caught:
            read()
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("name",), 'x"; */ #include "/etc/passwd" /*'),
        (("name",), "a\nb"),
        (("ggdq", "platform"), "ststm32\nextra_scripts = evil.py"),
        (("ggdq", "options"), {"extra_scripts": "evil.py"}),
        (("ggdq", "options"), {"board_build.core": "x\nextra_scripts = evil.py"}),
        (("ggdq", "uart", "kind"), "../../../../etc/passwd"),
        (("ggdq", "uart", "baud"), 0),
        (("ggdq", "uart", "tx"), "PA99"),
        (("ggdq", "port"), "../x"),
        (("ggdq", "qemu", "program"), "/tmp/evil"),
        (("ggdq", "qemu", "machine"), "x -monitor exec:y"),
        (("ggdq", "aliases"), [["nested"]]),
        (("ggdq", "flash", "size"), True),
        (("ggdq", "flash", "origin"), "0x0; DROP"),
        (("ggdq", "clock_hz"), 1e9),
        (("build", "extra_flags"), "!touch /tmp/x"),
        (("build", "mcu"), "${__import__('os').system('x')}"),
        (("ggdq", "secret"), 1),
    ],
)
def test_a_board_that_would_do_more_than_describe_is_refused(tmp_path: Path, path: tuple[str, ...], value: Any) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(changed(BOARD, path, value, "put")))
    with pytest.raises(GgdqError, match=r"mine.json: "):
        boards.load(tmp_path / "mine.json")


@pytest.mark.parametrize("name", ["a b.json", "x;y.json", ".hidden.json", "x'.json"])
def test_the_name_of_a_board_file_is_a_plain_word(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(json.dumps(BOARD))
    with pytest.raises(GgdqError, match="in its name"):
        boards.load(tmp_path / name)
