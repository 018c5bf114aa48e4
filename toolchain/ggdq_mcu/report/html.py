"""How does a network look in a browser? Pages that need nothing but themselves: no server, no font, no others' script."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
import numpy as np
from markupsafe import Markup

from ggdq_mcu import resources
from ggdq_mcu.boards import Board
from ggdq_mcu.describe.description import Description, LayerInfo
from ggdq_mcu.describe.evaluation import Evaluation
from ggdq_mcu.describe.memory import ram_svg
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.quantization.level_histogram import LevelHistogram
from ggdq_mcu.report.level_plots import fraction_length_plot, level_plot
from ggdq_mcu.report.live import Live
from ggdq_mcu.version import __version__

if TYPE_CHECKING:
    from ggdq_mcu.pipeline.profile import Profile

REPORT = "report.html"
_ROW, _BOX, _WIDTH, _TURN = 44, 30, 290, 14  # of the diagram, in pixels
_MOST_ROWS = 400  # a diagram of more layers helps nobody
_MOST_PLOTS = 200
_LARGE = 0.4  # share of the work, or of the board's memory, that is worth a word
_EXACT, _LOST = 30.0, 0.005  # dB of an output, and accuracy lost, beyond which exactness is
_MOST_CLASSES = 30  # of a table of confusion that can be read


@dataclass(frozen=True)
class Row:
    """A layer in the report: what is known of it, and what is drawn: values, their share of a bar, its class, digits shown."""

    info: LayerInfo
    sqnr_db: float | None
    fraction_lengths: str
    bars: tuple[tuple[float | None, float, str, int], ...]


@dataclass(frozen=True)
class Picture:
    """A feature map in the report: how its values lie on its levels, and the fraction lengths that made them."""

    name: str
    levels: LevelHistogram
    step: float
    steps: int
    plot: Markup
    lengths: Markup | None


@dataclass(frozen=True)
class Box:
    """A node of the diagram at row ``y``, in pixels."""

    name: str
    text: str
    y: int


def report(
    description: Description,
    network: QuantizedGraph,
    quality: Evaluation | None,
    levels: Mapping[str, LevelHistogram],
    measured_on: str = "calibration samples",
    *,
    board: Board | None = None,
    live: Live | None = None,
    profile: Profile | None = None,
) -> str:
    """The page about a built network.

    ``quality`` was measured on ``measured_on``; ``levels`` are the calibrated values by layer. ``board``: whose flash and
    RAM sizes are compared with. ``live``: the network itself, to run in the page. ``profile``: counted instructions and
    estimated cycles instead of the planner's estimate.
    """
    rows = _rows(description, network, quality, profile)
    boxes, edges = _diagram(network)
    script = f"//<![CDATA[\n{_file('report.js')}//]]>"
    counted = "counted" if profile or "tuned_with" in description.source else "estimated"
    cycles = ["cycles, estimated"] if profile and profile.cycles_estimate is not None else []
    return _render(
        "report.html.j2",
        network=description,
        style=Markup(_file("style.css")),
        script=Markup(script),
        script_hash="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        live=live,
        live_data=Markup(live.data) if live else None,
        canvas=_canvas(network),
        figures=_figures(description, board, profile),
        numeric=["step", "fraction lengths", "SQNR, dB", "MACs", f"instructions, {counted}", *cycles, "flash, bytes"],
        rows=rows,
        quality=quality,
        measured_on=measured_on,
        confused=_confused(quality),
        most_classes=_MOST_CLASSES,
        pictures=_pictures(network, levels),
        boxes=boxes,
        edges=edges,
        diagram={"width": _WIDTH, "box": _BOX, "right": _WIDTH + 90, "height": _ROW * len(boxes) + 10},
        memory=Markup(ram_svg(description)),
        advice=advice(description, rows, network, quality, board),
        version=__version__,
    )


def table_of_layers(description: Description) -> str:
    """The network as a piece of HTML for a notebook."""
    return _render("layers.html.j2", network=description)


def advice(
    description: Description,
    rows: Sequence[Row],
    network: QuantizedGraph,
    quality: Evaluation | None = None,
    board: Board | None = None,
) -> list[str]:
    """What would help, the most important first; only what is beyond a threshold, with what it costs or would gain."""
    found = []
    if "without data" in (description.calibration or ""):
        found.append("Calibrated without data: 100 real samples (--calib data.npz) make the steps fit them.")
    fall = _largest_fall(rows, network)
    if fall and quality and _is_inexact(quality):
        name, before, after = fall
        found.append(
            f"The SQNR falls most at {name}: from {number(before, 1)} to {number(after, 1)} dB. That is what "
            "can be gained there at most, by more bits (--budget finds which) or more calibration samples."
        )
    heaviest = max(rows, key=lambda row: row.info.macs, default=None)
    if heaviest and heaviest.info.macs > _LARGE * description.macs:
        share = heaviest.info.macs / description.macs
        found.append(f"Most work: {heaviest.info.name} does {share:.0%} of the multiply-accumulates.")
    if board and board.flash_bytes and (description.weights_bytes or 0) > _LARGE * board.flash_bytes:
        largest = max(rows, key=lambda row: row.info.weights_bytes or 0)
        size = largest.info.weights_bytes or 0
        found.append(
            f"Most flash: {largest.info.name} has {size / (description.weights_bytes or 1):.0%} of the constants; 4 bits for "
            f"its weights (--weight-bits 4, or --budget) would save about {number(size // 2)} bytes."
        )
    peak = _peak(description)
    if peak and board and board.ram_bytes and (description.arena_bytes or 0) > _LARGE * board.ram_bytes:
        found.append(f"Most memory: the arena is fullest while {peak} runs; --goal size trades speed for it.")
    return found


def _is_inexact(quality: Evaluation) -> bool:
    """Is there something to gain: an output below 30 dB, or more than half a point of accuracy lost?"""
    lost = (quality.float_accuracy or 0.0) - (quality.accuracy or 0.0)
    return lost > _LOST or any(output.sqnr_db < _EXACT for output in quality.outputs)


def _largest_fall(rows: Sequence[Row], network: QuantizedGraph) -> tuple[str, float, float] | None:
    """The layer whose output is less exact than the least exact of its inputs by the most dB, and both figures."""
    known = {row.info.name: row.sqnr_db for row in rows if row.sqnr_db is not None}
    falls = []
    for name, after in known.items():
        sources = []
        for source in network.by_name[name].inputs:
            node = network.by_name[source]
            while node.operator.is_view and node.inputs:
                node = network.by_name[node.inputs[0]]
            sources.append(known.get(node.name))
        before = [one for one in sources if one is not None]
        if before and not network.by_name[name].operator.reads_wide:
            falls.append((min(before) - after, name, min(before), after))
    found = max(falls, default=None)
    return None if found is None or not 0 < found[0] < math.inf else found[1:]


def number(value: float | None, digits: int = 0) -> str:
    """A number for people, thousands apart by a narrow space; a dash for what is not known.

    >>> number(12345.0).replace(chr(0x202f), "'"), number(None)
    ("12'345", '–')
    """
    if value is None or math.isnan(value):
        return "–"
    return "∞" if math.isinf(value) else f"{value:,.{digits}f}".replace(",", "\u202f")


def shape(sizes: tuple[int, ...]) -> str:
    """8 × 8 × 16."""
    return " × ".join(map(str, sizes)) or "1"


def _rows(
    description: Description, network: QuantizedGraph, quality: Evaluation | None, profile: Profile | None = None
) -> list[Row]:
    sqnr = {layer.name: layer.sqnr_db for layer in quality.layers} if quality else {}
    counted = {layer.name: layer for layer in profile.layers} if profile else {}
    cycles = {name: layer.cycles_estimate for name, layer in counted.items()}
    rows: list[tuple[LayerInfo, float | None, list[tuple[float | None, str, int]]]] = []
    for layer in description.layers:
        instructions = counted[layer.name].instructions if layer.name in counted else layer.instructions
        values: list[tuple[float | None, str, int]] = [(layer.macs, "", 0), (instructions, "", 0)]
        if profile and profile.cycles_estimate is not None:
            values.append((cycles.get(layer.name), "", 0))
        rows.append((layer, sqnr.get(layer.name), [*values, (layer.weights_bytes, "", 0)]))
    most = [
        max((value or 0 for value, *_ in column), default=0) or 1 for column in zip(*(r[2] for r in rows), strict=True)
    ]
    made = []
    for layer, decibels, values in rows:
        share = 0.0 if decibels is None else min(max(decibels / 60, 0.0), 1.0)
        bars = [
            (value, (value or 0) / top, kind, digits) for (value, kind, digits), top in zip(values, most, strict=True)
        ]
        lengths = _fraction_lengths(network.by_name[layer.name])
        made.append(Row(layer, decibels, lengths, ((decibels, share, "good", 1), *bars)))
    return made


def _figures(
    description: Description, board: Board | None, profile: Profile | None
) -> list[tuple[str, str, float | None, str]]:
    """The sizes at the head of the page: what, the value, its share of the board's memory, and which memory."""
    flash, ram = (board.flash_bytes, board.ram_bytes) if board else (None, None)
    entries: list[tuple[str, float | None, int | None, str]] = [
        ("bytes of flash, whole firmware", description.flash_bytes, flash, "flash"),
        ("bytes of RAM, whole firmware", description.ram_bytes, ram, "RAM"),
        ("bytes of arena", description.arena_bytes, ram, "RAM"),
        ("bytes of weights and constants", description.weights_bytes, flash, "flash"),
        ("multiply-accumulates", description.macs, None, ""),
        ("parameters", description.parameters, None, ""),
        ("layers", len(description.layers), None, ""),
    ]
    estimated = [layer.instructions for layer in description.layers if layer.instructions]
    if profile is not None:
        entries.append(("instructions, counted", profile.instructions, None, ""))
        entries.append(("cycles, estimated", profile.cycles_estimate, None, ""))
    elif estimated:
        entries.append(("instructions, estimated", sum(estimated), None, ""))
    found = [
        (title, number(value), value / of if of else None, unit)
        for title, value, of, unit in entries
        if value is not None
    ]
    if profile is not None and profile.milliseconds_estimate is not None:
        found.append(("ms by these cycles", number(profile.milliseconds_estimate, 2), None, ""))
    return found


def _canvas(network: QuantizedGraph) -> tuple[int, int]:
    """Width and height of the drawing: whole pixels for each of the input's, about 280 across."""
    shape = network.shapes[network.inputs[0]]
    if len(shape) != 3:
        return 0, 0
    scale = max(1, round(280 / max(shape[:2])))
    return shape[1] * scale, shape[0] * scale


def _file(name: str) -> str:
    return (resources.root("templates") / "report" / name).read_text(encoding="utf-8")


def _fraction_lengths(node: QuantizedNode) -> str:
    """Fraction lengths of a layer's weights: one, or from the smallest to the largest of its channels."""
    if not _has_weights(node):
        return ""
    lengths = np.ravel(node.constants["shift"])
    low, high = int(lengths.min()), int(lengths.max())
    return str(low) if low == high else f"{low} … {high}"


def _pictures(network: QuantizedGraph, levels: Mapping[str, LevelHistogram]) -> list[Picture]:
    """Of the feature maps that calibration has seen, in the order of the layers."""
    return [
        Picture(
            node.name,
            levels[node.name],
            node.format.mean_step,
            int(np.size(node.format.step)),
            level_plot(node.name, levels[node.name]),
            fraction_length_plot(node.name, node.constants["shift"]) if _has_weights(node) else None,
        )
        for node in [node for node in network.nodes if node.name in levels][:_MOST_PLOTS]
    ]


def _confused(quality: Evaluation | None) -> list[tuple[int, int, int]]:
    """The pairs of classes most often taken for each other: (class, taken for, samples)."""
    if quality is None or quality.confusion is None:
        return []
    pairs = [
        (count, label, given)
        for label, row in enumerate(quality.confusion)
        for given, count in enumerate(row)
        if count and label != given
    ]
    return [(label, given, count) for count, label, given in sorted(pairs, key=lambda one: (-one[0], *one[1:]))[:5]]


def _has_weights(node: QuantizedNode) -> bool:
    return "kernel" in node.constants and "shift" in node.constants


def _diagram(network: QuantizedGraph) -> tuple[list[Box], list[str]]:
    """The nodes from top to bottom, and for each connection the path of its line."""
    nodes = network.nodes[:_MOST_ROWS]
    row = {node.name: index for index, node in enumerate(nodes)}
    boxes = [
        Box(node.name, f"{node.operator.describe()}, {shape(network.shapes[node.name])}", index * _ROW + 5)
        for index, node in enumerate(nodes)
    ]
    edges = []
    for node in nodes:
        for source in node.inputs:
            start, end = boxes[row[source]].y + _BOX, boxes[row[node.name]].y
            if row[node.name] == row[source] + 1:
                edges.append(f"M{_WIDTH // 2} {start}V{end}")
                continue
            # Around the boxes in between, the further the longer.
            x = _WIDTH + min(_TURN + 6 * (row[node.name] - row[source]), 80)
            edges.append(f"M{_WIDTH} {start - _BOX // 2}H{x}V{end + _BOX // 2}H{_WIDTH}")
    return boxes, edges


def _peak(description: Description) -> str | None:
    """The layer during which the arena is fullest."""
    if not description.placements:
        return None
    tops = [
        max((one.offset + one.size for one in description.placements if one.first <= step <= one.last), default=0)
        for step in range(len(description.layers))
    ]
    return description.layers[tops.index(max(tops))].name


def _render(template: str, **context: Any) -> str:
    return _environment().get_template(template).render(context)


@cache
def _environment() -> jinja2.Environment:
    """The report's templates; it keeps what it compiled."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.root("templates") / "report"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "shape": shape}
    return environment
