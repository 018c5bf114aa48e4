"""How does long work tell what it is doing? By notes and steps, which the command line shows on stderr."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Progress(Protocol):
    """What the functions of the pipeline report to while they work."""

    def note(self, text: str) -> None:
        """Something the user should know, in one line."""

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        """What is being done, and how far it is."""


class Silent:
    """Reports to nobody."""

    def note(self, text: str) -> None:
        """Ignore the note."""

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Ignore the step."""


SILENT = Silent()
Callback = Callable[[str, int, int | None], object]
Reporter = Progress | Callback | None


@dataclass(frozen=True)
class Called:
    """Reports to a function of the text, how far it is, and of how much (None: unknown); a note is 0 of None."""

    callback: Callback

    def note(self, text: str) -> None:
        """Pass the note on."""
        self.callback(text, 0, None)

    def step(self, text: str, done: int = 0, total: int | None = None) -> None:
        """Pass the step on."""
        self.callback(text, done, total)


def reporter_of(progress: Reporter) -> Progress:
    """What the pipeline reports to, for what a caller gives: a ``Progress``, a function, or None."""
    if progress is None:
        return SILENT
    return Called(progress) if callable(progress) else progress
