"""The C, generated and hand-written, before GCC, clang, cppcheck, clang-tidy and MISRA; what it needs; the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from ggdq_mcu import boards
from ggdq_mcu.boards import Board
from ggdq_mcu.projects import App
from ggdq_mcu.projects.writing import board_files

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
BOARDS = ["host", "nucleo_f446re", "nucleo_g071rb", "nucleo_h743zi"]
BUILDS = [*BOARDS, "nucleo_f446re --streaming"]
STRICT = ["-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Wpedantic", "-Werror"]
LIBC = {
    "arm-none-eabi": ["/usr/lib/arm-none-eabi/include", "/usr/include/newlib"],
    "riscv32-unknown-elf": ["/usr/lib/picolibc/riscv64-unknown-elf/include"],
}
CODE = "from ggdq_mcu.cli import main; main()"


def build(out: Path, board: str, cwd: Path, **environment: str) -> Path:
    """The example's project, made by a process of its own."""
    line = [
        sys.executable,
        "-c",
        CODE,
        "build",
        "digits.h5",
        "--board",
        *board.split(),
        "--out",
        str(out),
        "--no-compile",
    ]
    subprocess.run(line, cwd=cwd, env={**os.environ, **environment}, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The example's project for a board."""
    made: dict[str, Path] = {}

    def get(board: str) -> Path:
        if board not in made:
            made[board] = build(tmp_path_factory.mktemp(board) / "project", board, EXAMPLES)
        return made[board]

    return get


def sources(project: Path, board: Board) -> tuple[list[str], list[str]]:
    """The C files that run on the board, and where their headers are."""
    library = project / "lib" / "ggdq_network" / "src"
    port = "board" if board.uart else "host"
    folders = [library, project / "src" / "app", project / "src" / port]
    files = [str(path) for folder in folders for path in sorted(folder.glob("*.c"))]
    assert len(files) > 4
    return files, [f"-I{folder}" for folder in (*folders, project / "include")]


def compiler(name: str, board: Board) -> list[str]:
    """The command that compiles for the board."""
    if not board.uart:
        return [name]
    if name == "gcc":
        return [f"{board.core.tools}gcc", *board.core.flags]
    target = {"cortex-m": "arm-none-eabi", "riscv": "riscv32-unknown-elf"}[board.core.family]
    headers = [part for folder in LIBC[target] if Path(folder).is_dir() for part in ("-isystem", folder)]
    return ["clang", f"--target={target}", *board.core.flags, *headers]


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("name", ["gcc", "clang"])
@pytest.mark.parametrize("board", BUILDS)
def test_compilers_have_nothing_to_say(
    project: Callable[[str], Path], board: str, name: str, traced: bool, tmp_path: Path
) -> None:
    target = boards.load(board.split(maxsplit=1)[0])
    files, includes = sources(project(board), target)
    line = [*compiler(name, target), *STRICT, "-O2", "-Wstrict-aliasing=1", *includes, "-c", *files]
    line += map(str, (project(board) / "lib").glob("*/src/*.S"))
    line += ["-DGGDQ_TRACE"] if traced else []
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stderr, done.returncode) == ("", 0)


@pytest.mark.parametrize("board", BUILDS)
def test_cppcheck_has_nothing_to_say(project: Callable[[str], Path], board: str) -> None:
    files, includes = sources(project(board), boards.load(board.split(maxsplit=1)[0]))
    line = ["cppcheck", "-q", "--std=c11", "--enable=warning,portability,performance", "--inline-suppr"]
    line += ["--suppress=missingIncludeSystem", "--error-exitcode=1", *includes, *files]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The firmware's own files for one board of each port, with the runner's console, by board."""
    chosen: dict[tuple[str, ...], tuple[str, dict[str, str | bytes]]] = {}
    for board in boards.all_boards():
        if board.uart:
            files = board_files(board, App("mlperf-tiny", self_test=True))
            own = tuple(sorted(path for path in files if path.startswith("src/board/")))
            chosen.setdefault(own, (board.name, files))
    folders = {}
    for name, files in chosen.values():
        folders[name] = tmp_path_factory.mktemp(name)
        for path, content in files.items():
            target = folders[name] / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
    assert len(folders) > 10
    return folders


def port_sources(folder: Path) -> tuple[list[str], list[str]]:
    return sorted(map(str, (folder / "src/board").glob("*.c"))), [f"-I{folder / 'include'}", f"-I{folder / 'src/app'}"]


def clang_tidy(board: Board, files: list[str], includes: list[str]) -> str:
    """What it has to say."""
    target = compiler("clang", board)[1:] if board.uart else []
    line = [
        "clang-tidy",
        "-quiet",
        f"--config-file={ROOT / '.clang-tidy'}",
        *files,
        "--",
        *target,
        "-std=c11",
        *includes,
    ]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or done.stdout
    return done.stdout


@pytest.mark.parametrize("board", BUILDS)
def test_clang_tidy_has_nothing_to_say(project: Callable[[str], Path], board: str) -> None:
    target = boards.load(board.split(maxsplit=1)[0])
    files, includes = sources(project(board), target)
    assert clang_tidy(target, files, [*includes, "-DGGDQ_TRACE", "-DGGDQ_WATCHDOG"]) == ""


def test_clang_tidy_has_nothing_to_say_about_any_port(ports: dict[str, Path]) -> None:
    for name, folder in ports.items():
        assert clang_tidy(boards.load(name), *port_sources(folder)) == ""


def misra_rules(files: list[str], includes: list[str]) -> set[str]:
    """Rules of MISRA C:2012 that cppcheck finds violated."""
    line = ["cppcheck", "-q", "--std=c11", "--addon=misra", "--suppress=missingIncludeSystem", *includes, *files]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    return set(re.findall(r"\[misra-c2012-([\d.]+)\]", done.stderr))


def test_the_rules_of_misra_that_are_violated_are_those_of_the_page(
    project: Callable[[str], Path], ports: dict[str, Path]
) -> None:
    board = boards.load("nucleo_f446re")
    found = misra_rules(*sources(project(board.name), board))
    console = next(iter(ports.values())) / "src/app/mlperf_tiny.c"
    found |= misra_rules([str(console)], sources(project(board.name), board)[1])
    seen: set[str] = set()
    for folder in ports.values():
        files, includes = port_sources(folder)
        fresh = [file for file in files if Path(file).name not in seen]
        found |= misra_rules(fresh, includes) if fresh else set()
        seen |= {Path(file).name for file in fresh}
    page = (ROOT / "docs" / "misra.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| (\d+\.\d+) \|", page, re.MULTILINE)
    assert sorted(documented, key=rule_number) == documented
    assert documented == sorted(found, key=rule_number)


def rule_number(rule: str) -> tuple[int, ...]:
    return tuple(map(int, rule.split(".")))


def symbols(objects: Path) -> tuple[set[str], set[str]]:
    """Names that object files define for others, and those that they need."""
    defined: set[str] = set()
    needed: set[str] = set()
    for path in objects.glob("*.o"):
        with path.open("rb") as file:
            for symbol in ELFFile(file).get_section_by_name(".symtab").iter_symbols():
                if symbol.name and symbol["st_info"]["bind"] != "STB_LOCAL":
                    (needed if symbol["st_shndx"] == "SHN_UNDEF" else defined).add(symbol.name)
    return defined, needed - defined


@pytest.mark.parametrize("board", BOARDS[1:])
def test_the_network_needs_no_heap_no_float_and_no_library(
    project: Callable[[str], Path], board: str, tmp_path: Path
) -> None:
    target = boards.load(board)
    library = project(board) / "lib" / "ggdq_network" / "src"
    files = sorted(map(str, library.glob("*.[cS]")))
    subprocess.run([*compiler("gcc", target), "-std=c11", "-O2", "-c", *files], cwd=tmp_path, check=True)
    defined, needed = symbols(tmp_path)
    assert {"ggdq_network_invoke", "ggdq_network_arena_size"} <= defined
    assert all(name.startswith("ggdq_network_") for name in defined)
    integer = {f"__aeabi_{operation}" for operation in ("lmul", "llsl", "lasr", "llsr", "idiv", "uidiv")}
    assert needed <= integer | {"memcmp", "memcpy", "memset", "memmove"}


@pytest.mark.parametrize("board", BOARDS[1:])
def test_the_firmware_has_no_heap_and_no_float(project: Callable[[str], Path], board: str, tmp_path: Path) -> None:
    target = boards.load(board)
    files, includes = sources(project(board), target)
    subprocess.run([*compiler("gcc", target), "-std=c11", "-O2", *includes, "-c", *files], cwd=tmp_path, check=True)
    defined, needed = symbols(tmp_path)
    assert "main" in defined
    for name in needed:
        assert not any(word in name for word in ("alloc", "free", "sbrk", "printf"))
        assert not name.startswith(("__aeabi_f", "__aeabi_d", "__aeabi_i2f", "__aeabi_i2d"))


def test_the_same_bytes_in_another_folder_with_another_hash_seed(tmp_path: Path) -> None:
    places = []
    for seed in ("1", "2"):
        there = tmp_path / f"folder {seed}"
        there.mkdir()
        for name in ("digits.h5", "digits.npz"):
            (there / name).write_bytes((EXAMPLES / name).read_bytes())
        places.append(build(there / seed / "project", "nucleo_f446re", there, PYTHONHASHSEED=seed))
    first, second = (
        {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}
        for place in places
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    assert not [name for name, content in first.items() if str(tmp_path).encode() in content]


def test_no_byte_depends_on_the_name_of_the_folder_of_the_samples(tmp_path: Path) -> None:
    samples = tmp_path / "somewhere" / "digits.npz"
    samples.parent.mkdir()
    samples.write_bytes((EXAMPLES / "digits.npz").read_bytes())
    line = [sys.executable, "-c", CODE, "build", "digits.h5", "--board", "host", "--calib", str(samples)]
    line += ["--out", str(tmp_path / "p"), "--no-compile"]
    subprocess.run(line, cwd=EXAMPLES, check=True, capture_output=True)
    files = [path for path in (tmp_path / "p").rglob("*") if path.is_file()]
    assert not [path for path in files if b"somewhere" in path.read_bytes()]
