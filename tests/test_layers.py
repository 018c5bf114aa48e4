"""Modules form layers: none imports one of a higher layer, and there is no circle among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "toolchain" / "ggdq_mcu"
#: From the ground up: a package or module imports those of its own row and of the rows before it.
ROWS = (
    (
        "errors",
        "resources",
        "threads",
        "archives",
        "npy",
        "numerics",
        "progress",
        "scratch",
        "schema",
        "version",
        "wav",
    ),
    ("boards", "graph"),
    ("sources",),
    ("operators",),
    ("kernels", "passes", "data", "storage", "frontend"),
    ("importers",),
    ("quantization", "planning"),
    ("codegen", "projects"),
    ("emulation",),
    ("describe",),
    ("report",),
    ("pipeline",),
    ("samples",),
    ("model", "commands"),
    ("",),
    ("cli",),
    ("__main__",),
)
ROW_OF = {name: number for number, row in enumerate(ROWS) for name in row}


def imports(source: str, known: set[str]) -> Iterator[str]:
    """The modules of the package that a module imports when it runs; those for type checkers alone do not count."""
    tree = ast.parse(source)
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test))
    for_types = {id(inner) for block in blocks for statement in block.body for inner in ast.walk(statement)}
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield from (one for one in (inner if inner in known else node.module,) if one in known)


def package_imports(folder: Path) -> dict[str, set[str]]:
    """For every module below a package's folder those that it imports."""
    paths = {
        ".".join((folder.name, *path.relative_to(folder).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in folder.rglob("*.py")
    }
    return {name: set(imports(path.read_text(encoding="utf-8"), set(paths))) - {name} for name, path in paths.items()}


def part(module: str) -> str:
    """The package or module right below ``ggdq_mcu``; "" is the package itself."""
    return (*module.split("."), "")[1]


def upward(edges: dict[str, set[str]]) -> list[str]:
    """The imports from a lower layer to a higher one."""
    pairs = ((a, b) for a, targets in edges.items() for b in targets)
    return sorted(f"{a} imports {b}" for a, b in pairs if ROW_OF[part(a)] < ROW_OF[part(b)])


@pytest.fixture(scope="module")
def edges() -> dict[str, set[str]]:
    return package_imports(PACKAGE)


def test_every_module_has_a_layer(edges: dict[str, set[str]]) -> None:
    assert {part(module) for module in edges} == set(ROW_OF)


def test_no_import_goes_up(edges: dict[str, set[str]]) -> None:
    assert not upward(edges)


def test_no_circle(edges: dict[str, set[str]]) -> None:
    TopologicalSorter(edges).prepare()


def test_what_would_be_found(tmp_path: Path) -> None:
    folder = tmp_path / "ggdq_mcu"
    (folder / "graph").mkdir(parents=True)
    (folder / "graph" / "__init__.py").write_text("")
    (folder / "graph" / "a.py").write_text("def f():\n    from ggdq_mcu.graph import b\n")
    (folder / "graph" / "b.py").write_text("import ggdq_mcu.graph.a\nfrom ggdq_mcu.cli import main\n")
    (folder / "cli.py").write_text("if TYPE_CHECKING:\n    from ggdq_mcu import cli\nelse:\n    main = 1\n")
    found = package_imports(folder)
    assert upward(found) == ["ggdq_mcu.graph.b imports ggdq_mcu.cli"]
    with pytest.raises(CycleError):
        TopologicalSorter(found).prepare()
