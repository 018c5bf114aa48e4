"""What does a user see when something is wrong? One line: what, where, what to do."""

from __future__ import annotations

from collections.abc import Sequence

_LONGEST = 1500  # characters of what a damaged file may put into a message


class GgdqError(Exception):
    """The one exception family of this package; the command line prints it as one line and exits with 2.

    ``what`` says what is wrong, ``where`` names the file, layer or channel, ``fix`` says what to do about it. ``others``
    are the errors that were found beside it in a model file.
    """

    def __init__(self, what: str, where: str = "", fix: str = "", others: Sequence[GgdqError] = ()) -> None:
        self.what, self.where, self.fix, self.others = what, where, fix, tuple(others)
        super().__init__(str(self))

    def __str__(self) -> str:
        what = self.what if len(self.what) <= _LONGEST else f"{self.what[:_LONGEST]} ..."
        line = f"{self.where}: {what}" if self.where else what
        if self.fix:
            line = f"{line}; {self.fix}"
        if self.others:
            line = f"{line} ({len(self.others)} more: ggdq-mcu inspect lists them)"
        return " ".join(line.split())

    @property
    def all(self) -> tuple[GgdqError, ...]:
        """This error and those that were found beside it, each alone."""
        return (GgdqError(self.what, self.where, self.fix), *self.others)

    def inside(self, file: str) -> GgdqError:
        """The same error, told of a file."""
        where = f"{file}: {self.where}" if self.where else file
        return GgdqError(self.what, where, self.fix, [one.inside(file) for one in self.others])
