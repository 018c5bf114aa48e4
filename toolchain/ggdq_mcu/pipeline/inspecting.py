"""What is in a project or in a model file?"""

from __future__ import annotations

from pathlib import Path

from ggdq_mcu.describe.description import Description, describe_model
from ggdq_mcu.describe.memory import ram_svg
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.project import is_project, open_project


def inspect(path: Path) -> Description:
    """What is known of a project folder, or of a model file (after the passes that fold and fuse)."""
    if path.is_dir() and is_project(path):
        return open_project(path).described()
    return describe_model(optimize(load(path)))


def write_picture(description: Description, file: Path) -> None:
    """The arena over time as an SVG file."""
    if description.arena_bytes is None:
        raise GgdqError("has no arena before it is built", description.name, "inspect a project that build made")
    try:
        file.write_text(ram_svg(description), encoding="utf-8")
    except OSError as error:
        raise GgdqError(f"cannot be written ({error.strerror})", str(file)) from error
