"""All that is in the way of a model file, found in one go: a reader goes on behind what it cannot convert."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ggdq_mcu.errors import GgdqError

#: What to do about an operator that is not supported and that nothing else can stand for.
SEE_LIST = "docs/operators.md lists what is supported"
_MOST = 200  # problems that are kept; a damaged file may have any number


class Problems:
    """Collects the errors of a reader. After the last operator, ``check`` raises them as one.

    with problems.gathered():
        ...  # convert one operator; where it fails, what it makes is missing, and what reads that is left out

    ``check`` raises the first error, with the others in its ``others``: the command line prints the first and how many
    there are, ``ggdq-mcu inspect`` prints them all.
    """

    def __init__(self) -> None:
        self.found: dict[str, GgdqError] = {}

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep the GgdqError that is raised inside, and go on."""
        try:
            yield
        except GgdqError as error:
            self.add(error)

    def add(self, error: GgdqError) -> None:
        """Keep an error, once."""
        for one in error.all:
            if len(self.found) < _MOST:
                self.found.setdefault(str(one), one)

    def check(self) -> None:
        """Raise what was found, if anything was."""
        if self.found:
            first, *others = self.found.values()
            raise GgdqError(first.what, first.where, first.fix, others) from first
