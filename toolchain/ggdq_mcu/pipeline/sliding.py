"""What must a stream give? The frames of samples one after the other, and the network on every window that ends with a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.step import StepGraph, Stream
from ggdq_mcu.progress import Progress
from ggdq_mcu.projects import Arrays

Array = NDArray[Any]
_LEAST_SAMPLES, _LEAST_WINDOWS = 3, 20
_CHUNK = 10  # windows that the reference computes at a time


class FrameTaker(Protocol):
    """What takes frame by frame: the reference, or a network that runs somewhere."""

    def push(self, frame: Arrays) -> Arrays | None:
        """The next frame of every input; the outputs where a window is complete, else None."""
        ...


class ReferenceStream:
    """The reference of a stream as something that runs somewhere."""

    def __init__(self, step: StepGraph) -> None:
        self._stream, self._step = Stream(step), step

    def push(self, frame: Arrays) -> Arrays | None:
        """The next frame of every input; the outputs where a window is complete, else None."""
        outputs = self._stream.push(dict(zip(self._step.inputs, frame, strict=True)))
        return None if outputs is None else tuple(outputs[name] for name in self._step.whole.outputs)


def enough_samples(step: StepGraph) -> int:
    """Samples that have some windows in them, also such that begin in one sample and end in the next."""
    return max(_LEAST_SAMPLES, -(-_LEAST_WINDOWS * step.hop // step.window) + 1)


def frames_of(step: StepGraph, inputs: Mapping[str, Array]) -> list[Arrays]:
    """The frames of the samples (N, ...) by input name, one after the other."""
    apart = [inputs[name].reshape(-1, *step.frame_shape(name)) for name in step.inputs]
    return list(zip(*apart, strict=True))


def expected_outputs(step: StepGraph, frames: Sequence[Arrays]) -> dict[int, Arrays]:
    """By the number of a window's last frame, what the network on the whole window gives."""
    ends = range(step.window, len(frames) + 1, step.hop)
    expected: dict[int, Arrays] = {}
    for start in range(0, len(ends), _CHUNK):
        some = ends[start : start + _CHUNK]
        windows = {
            name: np.stack([np.stack([frame[i] for frame in frames[end - step.window : end]]) for end in some])
            for i, name in enumerate(step.inputs)
        }
        outputs = step.whole.run(windows)
        for i, end in enumerate(some):
            expected[end - 1] = tuple(outputs[name][i] for name in step.whole.outputs)
    return expected


def push_all(taker: FrameTaker, frames: Sequence[Arrays], progress: Progress, name: str) -> dict[int, Arrays]:
    """The outputs by the number of the frame after which they came."""
    outputs: dict[int, Arrays] = {}
    for number, frame in enumerate(frames):
        if number % _CHUNK == 0:
            progress.step(f"streaming on {name}", number, len(frames))
        answer = taker.push(frame)
        if answer is not None:
            outputs[number] = answer
    return outputs
