"""Shapes that a user gives for inputs whose file leaves sizes open: --input-shape NAME=1,3,320,240."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ggdq_mcu.errors import GgdqError

#: By input name, or under "" for the only input; with the batch, as the file has it.
InputShapes = Mapping[str, Sequence[int]]
_MOST_AXES = 8
_LARGEST = 1 << 24
_FORM = "write it as NAME=1,3,320,240, or 1,3,320,240 for the only input"


def parse_shapes(texts: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Shapes by input name from texts NAME=1,3,320,240; the name of the only input may be left out.

    >>> parse_shapes(["image=1,3,320,240"])
    {'image': (1, 3, 320, 240)}
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        where = f"input shape {text[:80]!r}"
        if name in shapes:
            raise GgdqError("given twice", where)
        try:
            shapes[name] = tuple(int(size) for size in sizes.split(","))
        except ValueError as error:
            raise GgdqError("is not a list of whole numbers", where, _FORM) from error
    return shapes


def with_given(
    inputs: Mapping[str, tuple[int | None, ...]], given: InputShapes | None
) -> dict[str, tuple[int | None, ...]]:
    """The shapes of the file's inputs (None: a size that it leaves open), with the sizes that the user gave.

    Raises GgdqError for an input that the file does not have, and for sizes that contradict the file.
    """
    shapes = dict(inputs)
    known = f"inputs: {', '.join(f'{name} {_text(sizes)}' for name, sizes in inputs.items())}"
    for key, value in (given or {}).items():
        sizes = tuple(value)
        name = next(iter(inputs)) if not key and len(inputs) == 1 else key
        where = f"input shape {key}={_text(sizes)}" if key else f"input shape {_text(sizes)}"
        if name not in inputs:
            raise GgdqError("names no input of the network" if key else "there are several inputs", where, known)
        if not 1 <= len(sizes) <= _MOST_AXES or any(not 1 <= size <= _LARGEST for size in sizes):
            raise GgdqError(f"needs 1 to {_MOST_AXES} sizes from 1 to {_LARGEST}", where, _FORM)
        stored = inputs[name]
        if len(stored) != len(sizes) or any(a not in (None, b) for a, b in zip(stored, sizes, strict=True)):
            raise GgdqError(f"contradicts the file, which has {_text(stored)}", where, "? is a size that may be given")
        shapes[name] = sizes
    return shapes


def give_shape(name: str, sizes: Sequence[int | None]) -> str:
    """What to do about an input with open sizes, for an error's ``fix``."""
    example = ",".join("1" if size is None and not axis else str(size or "N") for axis, size in enumerate(sizes))
    return f"give its sizes: --input-shape {name[:80]}={example}"


def _text(sizes: Sequence[int | None]) -> str:
    return ",".join("?" if size is None else str(size) for size in sizes)
