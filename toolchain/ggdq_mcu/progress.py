"""How does long work tell what it is doing? By notes and steps, which the command line shows on stderr."""

from __future__ import annotations

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
