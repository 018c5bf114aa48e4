"""How long is a line of generated code? At most ``WIDTH`` columns: longer ones are folded where C lets them be."""

from __future__ import annotations

import re
from collections.abc import Iterator

WIDTH = 120
_INDENT = 4
_LITERAL_OR_COMMENT = re.compile(r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?(?:\*/|$)')


def fold(text: str) -> str:
    """The text with no line beyond ``WIDTH``, but for directives of the preprocessor and words that are longer.

    Code is broken at spaces, behind a comma where there is one, and goes on one step further to the right; comments at
    spaces, and go on behind an asterisk.
    """
    lines: list[str] = []
    comment = False
    for line in text.split("\n"):
        lines += _folded(line, comment) if len(line) > WIDTH else [line]
        comment = _in_comment(line, comment)
    return "\n".join(lines)


def _in_comment(line: str, before: bool) -> bool:
    """Is the end of the line inside of a comment? ``before``: is its beginning?"""
    if before:
        _, end, line = line.partition("*/")
        if not end:
            return True
    found = [match.group() for match in _LITERAL_OR_COMMENT.finditer(line)]
    return bool(found) and found[-1].startswith("/*") and not found[-1].endswith("*/")


def _folded(line: str, comment: bool) -> Iterator[str]:
    margin = line[: len(line) - len(line.lstrip())]
    if comment or line.startswith("/*", len(margin)):
        star = margin if comment and line.lstrip().startswith("*") else f"{margin} "
        yield from _broken(line, f"{star}* ", range(len(margin) + 3, len(line)))
    elif line.startswith("#", len(margin)):
        yield line
    else:
        closed = [index for match in _LITERAL_OR_COMMENT.finditer(line) for index in range(*match.span())]
        yield from _broken(line, margin + " " * _INDENT, sorted(set(range(len(margin), len(line))) - set(closed)))


def _broken(line: str, margin: str, allowed: range | list[int]) -> Iterator[str]:
    """The line broken at spaces among the columns ``allowed``; what follows the first break begins with ``margin``."""
    spaces = [column for column in allowed if line[column] == " "]
    begin, head = 0, ""
    while len(head) + len(line) - begin > WIDTH:
        fitting = [column for column in spaces if begin < column <= begin + WIDTH - len(head)]
        commas = [column for column in fitting if line[column - 1] == ","]
        later = [column for column in spaces if column > begin]
        if not later:
            break
        end = (commas or fitting or later[:1])[-1]
        yield head + line[begin:end]
        begin, head = end + 1, margin
    yield head + line[begin:]
