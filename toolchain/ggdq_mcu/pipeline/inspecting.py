"""What is in a project or in a model file?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ggdq_mcu.describe.description import Description, describe_model
from ggdq_mcu.describe.memory import ram_svg
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from ggdq_mcu.importers.shapes import InputShapes
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.project import is_project, open_project


@dataclass(frozen=True)
class Problem:
    """One thing that is in the way of a model file: the layer or operator, the reason, and what to do about it."""

    layer: str
    reason: str
    fix: str


@dataclass(frozen=True)
class Unbuildable:
    """A model file that cannot be built, and all that is in the way."""

    model: str
    problems: tuple[Problem, ...]


def inspect(path: Path, shapes: InputShapes | None = None) -> Description | Unbuildable:
    """What is known of a project folder, or of a model file (after the passes that fold and fuse)."""
    if path.is_dir() and is_project(path):
        return open_project(path).described()
    if not path.exists():
        raise GgdqError("no such file", str(path))
    try:
        graph = load(path, input_shapes=shapes)
    except GgdqError as error:
        mark = f"{path}: "
        found = ((one.where.removeprefix(mark).removeprefix(str(path)), one) for one in error.all)
        return Unbuildable(str(path), tuple(Problem(where, one.what, one.fix) for where, one in found))
    return describe_model(optimize(graph))


def write_picture(description: Description, file: Path) -> None:
    """The arena over time as an SVG file."""
    if description.arena_bytes is None:
        raise GgdqError("has no arena before it is built", description.name, "inspect a project that build made")
    try:
        file.write_text(ram_svg(description), encoding="utf-8")
    except OSError as error:
        raise GgdqError(f"cannot be written ({error.strerror})", str(file)) from error
