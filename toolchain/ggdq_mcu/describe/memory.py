"""What lies where in RAM while the network runs, and what takes the flash? As text and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from elftools.elf.elffile import ELFFile

from ggdq_mcu.describe.description import Description, Placement
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.planning.stack import GENERATED

_COLUMNS = 64
_ROW, _WIDTH, _LEFT, _TOP = 20, 640, 180, 30  # of the picture, in pixels
_COLOURS = {"new": "#4878b0", "kept": "#a8bfd8", "scratch": "#e0a050"}


def function_bytes(elf: Path) -> dict[str, int]:
    """Bytes of each generated function in a linked program, by name, largest first; the weights are no functions."""
    try:
        with elf.open("rb") as file:
            table: Any = ELFFile(file).get_section_by_name(".symtab")
            symbols = [s for s in table.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"] if table else []
    except Exception as error:  # pyelftools raises whatever a damaged file makes it stumble over
        raise GgdqError(f"not an ELF file ({error})", str(elf)) from error
    sizes = {symbol.name: int(symbol["st_size"]) for symbol in symbols if symbol.name.startswith(GENERATED)}
    return dict(sorted(sizes.items(), key=lambda item: (-item[1], item[0])))


def ram_text(description: Description) -> str:
    """A line a layer: how high the arena is filled, and a bar of it.

    In the bar "#" is what the layer writes, "=" what it reads or what waits, "~" scratch, "." free memory.
    """
    size = description.arena_bytes or 0
    names = [layer.name[:24] for layer in description.layers]
    longest = max(map(len, names), default=0)
    lines = [f"{'arena':<{longest}}  {size:>8} bytes   # written  = read or kept  ~ scratch  . free"]
    for step, name in enumerate(names):
        alive = _alive(description.placements, step)
        top = max((one.offset + one.size for one in alive), default=0)
        bar = ["."] * _COLUMNS
        for one in sorted(alive, key=lambda one: "=#~".index(_mark(one, description, step))):  # what is written on top
            first, last = one.offset * _COLUMNS // size, -(-(one.offset + one.size) * _COLUMNS // size)
            bar[first:last] = _mark(one, description, step) * (last - first)
        lines.append(f"{name:<{longest}}  {top:>8}  {''.join(bar)}")
    return "\n".join(lines)


def ram_svg(description: Description) -> str:
    """The arena over time as an SVG picture: a row a layer, memory from left to right."""
    size, count = max(description.arena_bytes or 0, 1), len(description.layers)
    title = escape(f"{description.name}: the arena of {description.arena_bytes or 0} bytes, layer by layer")
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 20}" height="{_TOP + _ROW * count + 20}"'
        f' font-family="sans-serif" font-size="11" role="img" aria-label="{title}"><title>{title}</title>',
        f'<text x="{_LEFT}" y="18">{escape(description.name)}: arena of {description.arena_bytes or 0} bytes</text>',
    ]
    for step, layer in enumerate(description.layers):
        y = _TOP + _ROW * step
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(layer.name[:28])}</text>')
        parts.append(f'<rect x="{_LEFT}" y="{y + 2}" width="{_WIDTH}" height="{_ROW - 4}" fill="#eeeeee"/>')
        marks = {one: _mark(one, description, step) for one in _alive(description.placements, step)}
        for one in sorted(marks, key=lambda one: "=#~".index(marks[one])):
            kind = {"=": "kept", "#": "new", "~": "scratch"}[marks[one]]
            x, width = _LEFT + one.offset * _WIDTH / size, one.size * _WIDTH / size
            parts.append(
                f'<rect x="{x:.1f}" y="{y + 2}" width="{width:.1f}" height="{_ROW - 4}" fill="{_COLOURS[kind]}"'
                f' fill-opacity="0.8"><title>{escape(one.name)}: {one.size} bytes at {one.offset}</title></rect>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _alive(placements: Sequence[Placement], step: int) -> list[Placement]:
    return [one for one in placements if one.first <= step <= one.last]


def _mark(placement: Placement, description: Description, step: int) -> str:
    if placement.scratch:
        return "~"
    # In strips, a layer's buffer is there before its step, for the rows that it keeps.
    written = placement.name == description.layers[step].name
    is_layer = any(placement.name == layer.name for layer in description.layers)
    return "#" if written or (not is_layer and placement.first == step) else "="
