"""What is a kernel: one way to compute a node in C, with what it takes and what it needs?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from ggdq_mcu.graph.overlap import Overlap

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Routine:
    """Code that kernels call and share: a template and its parameters. Equal texts appear once in a network.

    A template that ends with .S.j2 is assembly; it sets ``declaration``, the function's in C.

    ``code_bytes``: how much code it is on a Cortex-M4, about. ``most``: a parameter whose largest value serves all: of
    routines that differ in it alone, the network has that one.
    """

    template: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    code_bytes: int = 150
    most: str = ""


@dataclass(frozen=True, eq=False)
class Kernel:
    """One way to compute a node on a core: a template, its parameters and the constants in the order it reads them.

    ``instructions`` is the cost model's estimate for one inference; ``scratch_bytes`` is work memory beside the arena, and
    ``state_bytes`` memory that keeps its content from one inference to the next; ``routines`` are what it calls, in the
    order in which they have to appear. ``overlaps`` says for inputs, by index, where the output may be written over them.
    ``code_bytes`` is how much code the template is on a Cortex-M4, about. ``assembly``: a template of functions in assembly
    for this kernel alone; their names begin with its own.
    """

    name: str
    template: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Array] = field(default_factory=dict)
    scratch_bytes: int = 0
    instructions: float = 0.0
    routines: tuple[Routine, ...] = ()
    overlaps: Mapping[int, Overlap] = field(default_factory=dict)
    state_bytes: int = 0
    code_bytes: int = 200
    assembly: str = ""


def shared(routines: Iterable[Routine]) -> list[Routine]:
    """The routines that a network has for those that its kernels call, in the order of the first use."""
    found: dict[tuple[str, str], Routine] = {}
    for routine in routines:
        rest = {name: value for name, value in routine.parameters.items() if name != routine.most}
        key = routine.template, repr(rest)
        other = found.get(key)
        if other is None or (routine.most and routine.parameters[routine.most] > other.parameters[routine.most]):
            found[key] = routine
    return list(found.values())
