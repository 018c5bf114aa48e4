"""What are things called in C? Stable identifiers from model and layer names, whatever these contain."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_LENGTH = 63  # significant initial characters of an identifier that C11 guarantees
_KEYWORDS = frozenset(
    [
        *("auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern"),
        *("float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed"),
        *("sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "asm"),
        "typeof",
    ]
)


def identifier(name: str) -> str:
    """A C identifier in lower case from any text; empty or odd texts get a leading letter."""
    plain = re.sub(r"[^0-9a-z]+", "_", name.lower()).strip("_")[:40].strip("_")
    if not plain or plain[0].isdigit() or plain in _KEYWORDS:
        plain = f"n_{plain}".rstrip("_")
    return plain


def unique_identifiers(
    names: Iterable[str], taken: Iterable[str] = (), beginnings: tuple[str, ...] = ()
) -> dict[str, str]:
    """An identifier for each name, all different: a later one that clashes gets _2, _3, ...

    None is one of ``taken``, nor begins with one of ``beginnings``.
    """
    result: dict[str, str] = {}
    used = set(taken)
    for name in names:
        base = identifier(name)
        base = candidate = f"n_{base}" if base.startswith(beginnings) else base
        number = 1
        while candidate in used:
            number += 1
            candidate = f"{base}_{number}"
        used.add(candidate)
        result[name] = candidate
    return result


def comment(text: str, limit: int = 100) -> str:
    """Text that cannot end a C comment, break a line or hide what follows: printable ASCII, at most ``limit`` long."""
    plain = "".join(c if 32 <= ord(c) < 127 else "?" for c in text).replace("\\", "/")
    plain = plain.replace("*/", "* /").replace("/*", "/ *").replace("??", "? ")
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."
