"""In which order should bits be given up? The ones that cost the least noise for the memory that they free.

Marginal analysis: every tensor offers a few (memory, noise) choices; from the costliest assignment on, always the step down
with the least noise for a share of the memory is taken, among steps along each tensor's lower convex hull. Each assignment on
that way has the least noise for its memory, of all in which steps are on the hulls (Shoham and Gersho, Efficient bit
allocation for an arbitrary set of quantizers, IEEE Trans. ASSP 36(9), 1988; Fox, Operations Research 14(2), 1966).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One way to have a tensor: what is chosen (an index), the memory it takes (any unit) and the noise it causes."""

    index: int
    memory: float
    noise: float


def hull(choices: Sequence[Choice]) -> list[Choice]:
    """From the most memory to the least, the choices at the corners of the lower convex hull of noise over memory."""
    corners: list[Choice] = []
    for choice in sorted(choices, key=lambda c: (-c.memory, c.noise)):
        if corners and choice.memory == corners[-1].memory:
            continue
        while corners and choice.noise <= corners[-1].noise:
            corners.pop()  # less memory and no more noise
        while len(corners) > 1 and _slope(corners[-1], choice) <= _slope(corners[-2], corners[-1]):
            corners.pop()
        corners.append(choice)
    return corners


def path(tensors: Mapping[str, Sequence[Choice]]) -> Iterator[dict[str, int]]:
    """The chosen index by tensor, from the most memory to the least; every assignment differs from the last in one tensor."""
    hulls = {name: hull(choices) for name, choices in tensors.items()}
    place = dict.fromkeys(hulls, 0)
    steps = [(_slope(corners[0], corners[1]), name) for name, corners in hulls.items() if len(corners) > 1]
    heapq.heapify(steps)
    yield {name: corners[0].index for name, corners in hulls.items()}
    while steps:
        _, name = heapq.heappop(steps)
        place[name] += 1
        corners = hulls[name]
        if place[name] + 1 < len(corners):
            heapq.heappush(steps, (_slope(corners[place[name]], corners[place[name] + 1]), name))
        yield {name: hulls[name][at].index for name, at in place.items()}


def _slope(more: Choice, less: Choice) -> float:
    """Noise for a unit of memory."""
    return (less.noise - more.noise) / (more.memory - less.memory)
