"""Input formats that a user gives as text."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph

_TYPES = {"u8": (8, False), "s8": (8, True), "s16": (16, True)}


def parse_format(text: str) -> Format:
    """The input format T:SCALE:ZERO: type u8, s8 or s16, real value = SCALE * (q - ZERO).

    >>> parse_format("u8:1:0").short
    'u8'
    """
    where, fix = (
        f"input format {text!r}",
        "write it as T:SCALE:ZERO with T u8, s8 or s16: u8:1:0, s8:0.0078125:0",
    )
    parts = text.split(":")
    if len(parts) != 3 or parts[0] not in _TYPES:
        raise GgdqError("is not T:SCALE:ZERO", where, fix)
    bits, signed = _TYPES[parts[0]]
    try:
        scale, zero = float(parts[1]), int(parts[2])
    except ValueError as error:
        raise GgdqError("SCALE and ZERO are not numbers", where, fix) from error
    if not (math.isfinite(scale) and scale > 0):
        raise GgdqError("SCALE is not positive", where, fix)
    result = Format(bits, signed, scale, zero)
    if not result.low <= zero <= result.high:
        raise GgdqError(f"ZERO is not within {result.low}..{result.high}", where, fix)
    return result


def input_formats(texts: Mapping[str, str] | None, graph: Graph) -> dict[str, Format]:
    """Formats by input name from texts T:SCALE:ZERO by input name, or under "" for the only input; "auto" gives none."""
    asked = {name or _only_input(graph): text for name, text in (texts or {}).items()}
    given = {name: parse_format(text) for name, text in asked.items() if text != "auto"}
    unknown = asked.keys() - set(graph.inputs)
    if unknown:
        raise GgdqError(f"no input {sorted(unknown)[0]!r}", "input format", f"inputs: {', '.join(graph.inputs)}")
    return given


def _only_input(graph: Graph) -> str:
    if len(graph.inputs) > 1:
        names = ", ".join(graph.inputs)
        raise GgdqError("the network has several inputs", "input format", f"write NAME=T:SCALE:ZERO for {names}")
    return graph.inputs[0]
