"""How does a network look in a browser? Pages that need nothing but themselves: no script, no network, no font."""

from __future__ import annotations

from typing import Any

import jinja2

from ggdq_mcu import resources
from ggdq_mcu.pipeline.description import Description


def table_of_layers(description: Description) -> str:
    """The network as a piece of HTML for a notebook."""
    return _render("layers.html.j2", network=description)


def number(value: float | None, digits: int = 0) -> str:
    """A number for people, thousands apart by a narrow space; a dash for what is not known.

    >>> number(12345.0).replace(chr(0x202f), "'"), number(None)
    ("12'345", '–')
    """
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def shape(sizes: tuple[int, ...]) -> str:
    """8 × 8 × 16."""
    return " × ".join(map(str, sizes)) or "1"


def _render(template: str, **context: Any) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.root("templates") / "report"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": number, "shape": shape}
    return environment.get_template(template).render(context)
