"""What is a front end? Operators that make features of samples, and the same as a function for training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.operators.input import Input

Array = NDArray[Any]
SAMPLES = Format(16, True, 1.0)  # of the microphone, as an analogue-to-digital converter gives them
INPUT = "samples"


@dataclass(frozen=True)
class Features(ABC):
    """Base of all front ends: a window of ``window`` samples every ``step``, at ``rate`` Hz."""

    rate: int = 16000
    window: int = 480
    step: int = 160

    @property
    @abstractmethod
    def width(self) -> int:
        """Features of a frame."""

    @abstractmethod
    def chain(self, samples: int) -> Sequence[Node]:
        """Nodes one behind the other, the first of which reads INPUT, ``samples`` values: features (frames, width)."""

    def input_shape(self, samples: int) -> tuple[int, ...]:
        """Shape of the input: one channel of samples, or none."""
        return (samples,)

    def samples(self, frames: int) -> int:
        """How many samples ``frames`` frames are made of."""
        return self.window + (frames - 1) * self.step

    def __call__(self, wave: Array) -> Array:
        """Features (..., frames, width), float32, of waves (..., samples), in real numbers.

        Samples are integers of 16 bits, or real numbers from -1 to 1. Raises GgdqError for a wave shorter than a window.
        """
        samples, leading = samples_of(wave, self.window)
        graph = self._graph(samples.shape[1])
        (features,) = graph.run({INPUT: samples.reshape(-1, *graph.shapes[INPUT]).astype(np.float32)}).values()
        return np.asarray(features, np.float32).reshape(*leading, *features.shape[1:])

    def integers(self, wave: Array, form: Format) -> Array:
        """The integers (..., frames, width) that firmware computes of waves (..., samples), where it has them in ``form``."""
        samples, leading = samples_of(wave, self.window)
        graph = self._graph(samples.shape[1])
        values, forms = samples.reshape(-1, *graph.shapes[INPUT]).astype(np.int16), SAMPLES
        for node in graph.nodes[1:]:
            constants = node.operator.lower(node.weights, [forms], form, [graph.shapes[one] for one in node.inputs])
            values, forms = node.operator.compute_integer([values], constants, [forms], form), form
        return values.reshape(*leading, *values.shape[1:])

    def _graph(self, samples: int) -> Graph:
        nodes = self.chain(samples)
        first = Node(INPUT, Input(self.input_shape(samples), "int16"))
        return Graph("features", (first, *nodes), (nodes[-1].name,))


def samples_of(wave: Array, least: int) -> tuple[Array, tuple[int, ...]]:
    """Samples (N, length) of 16 bits in float64, and the axes before the length."""
    wave = np.asarray(wave)
    if wave.ndim == 0 or wave.shape[-1] < least:
        raise GgdqError(f"a wave of shape {wave.shape} is shorter than a window of {least} samples", "features")
    if wave.dtype.kind == "f":
        if not np.isfinite(wave).all() or np.abs(wave).max(initial=0) > 1:
            raise GgdqError("a wave of real numbers is not within -1..1", "features", "give it as int16, or divide it")
        wave = np.clip(np.floor(wave.astype(np.float64) * 32768 + 0.5), -32768, 32767)
    elif wave.dtype != np.int16:
        raise GgdqError(f"a wave of type {wave.dtype}", "features", "give int16, or real numbers from -1 to 1")
    return wave.reshape(-1, wave.shape[-1]).astype(np.float64), wave.shape[:-1]
