"""What does a user see when something is wrong? One line: what, where, what to do."""

from __future__ import annotations

_LONGEST = 1500  # characters of what a damaged file may put into a message


class GgdqError(Exception):
    """The one exception family of this package; the command line prints it as one line and exits with 2.

    ``what`` says what is wrong, ``where`` names the file, layer or channel, ``fix`` says what to do about it.
    """

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        super().__init__(str(self))

    def __str__(self) -> str:
        what = self.what if len(self.what) <= _LONGEST else f"{self.what[:_LONGEST]} ..."
        line = f"{self.where}: {what}" if self.where else what
        if self.fix:
            line = f"{line}; {self.fix}"
        return " ".join(line.split())
