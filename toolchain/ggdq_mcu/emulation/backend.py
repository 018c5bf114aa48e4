"""What do all places have in common where a generated network can run?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

from numpy.typing import NDArray

from ggdq_mcu.projects.interface import Arrays

Samples = Sequence[Arrays]


@dataclass(frozen=True)
class Trace:
    """One inference looked at closely.

    ``layers``: the output of each layer as little-endian bytes, by the layer's index in the graph.
    ``instructions``: executed instructions by layer, ``total`` those of the whole network; empty and 0 where
    they are not counted. ``cycles`` and ``total_cycles``: an estimate, where there is a rule for it.
    """

    outputs: Arrays
    layers: dict[int, bytes]
    instructions: dict[int, int]
    total: int = 0
    cycles: dict[int, int] = field(default_factory=dict)
    total_cycles: int | None = None


class Backend(Protocol):
    """A network that runs somewhere. A sample is one integer array for each input, of any shape."""

    name: str

    def run(self, samples: Samples) -> list[Arrays]:
        """The outputs for each sample, flat."""
        ...

    def trace(self, sample: Arrays) -> Trace:
        """The outputs of every layer; GgdqError where this place cannot tell."""
        ...

    def reset(self) -> None:
        """Begins a new stream."""
        ...

    def push(self, frame: Arrays) -> Arrays | None:
        """The next frame of a stream; the outputs where a window is complete, else None."""
        ...

    def close(self) -> None:
        """Ends whatever runs."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None: ...


class Closing:
    """Makes ``with`` close a backend."""

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


def per_sample(arrays: Mapping[str, NDArray[Any]], names: Sequence[str]) -> list[Arrays]:
    """Sample by sample the arrays of ``names``, in that order, from arrays (N, ...) by name."""
    return list(zip(*(arrays[name] for name in names), strict=True))
