"""Does the generated C compute what the integer reference computes, to the bit, wherever it runs?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet, load_data
from ggdq_mcu.emulation.backend import Backend, per_sample
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph, QuantizedNode
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.pipeline.inputs import input_samples
from ggdq_mcu.pipeline.places import EMULATOR, HOST, REFERENCE, default_places, open_place
from ggdq_mcu.pipeline.project import Project, open_project, warn_of_strangers
from ggdq_mcu.pipeline.sliding import ReferenceStream, enough_samples, expected_outputs, frames_of, push_all
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.projects import Arrays

Array = NDArray[Any]
DEFAULT_COUNTS = {HOST: 100}
_DEFAULT_COUNT = 10
_CHUNK = 10


@dataclass(frozen=True)
class Difference:
    """The first difference: the sample, the layer, the element of its output (row-major), both values."""

    sample: int
    layer: str
    element: int
    expected: int
    actual: int


@dataclass(frozen=True)
class Comparison:
    """What one place computed: on how many samples, how many integers were compared, how many differ."""

    samples: int
    elements: int
    mismatches: int
    first: Difference | None = None


@dataclass(frozen=True)
class Verification:
    """The comparison of every place with the reference."""

    backends: Mapping[str, Comparison]

    @property
    def equal(self) -> bool:
        """Is there no difference at all?"""
        return all(comparison.mismatches == 0 for comparison in self.backends.values())


def verify(
    folder: Path,
    places: Sequence[str] = (),
    data: Path | None = None,
    count: int | None = None,
    progress: Progress = SILENT,
    layers: bool = False,
    trust: bool = False,
) -> Verification:
    """Runs the project's network at each of ``places`` and compares every element with the reference.

    Places are "reference" (the reference now against what it computed at build time), "host", "emulator"
    (every layer) and "serial:PORT" (the outputs; with ``layers`` every layer, of a firmware that tells them); none:
    host and, where there is one, emulator. ``data`` None: the samples in the project, then extremes and random inputs.
    ``trust``: no note where the project's code was not made on this machine.
    ``count``: samples at each place, by default 100 on the host and 10 elsewhere.

    The samples of a stream (three, or more for 20 windows) follow each other without a gap, and the outputs of every window
    are compared with the network on the whole of it; "reference" is the stream in Python.
    """
    project = open_project(folder)
    if list(places) != [REFERENCE]:
        warn_of_strangers(project, trust, progress)
    samples = load_data(data, project.float_network) if data else None
    if samples and samples.note:
        progress.note(samples.note)
    if project.step is not None:
        return Verification(_streamed(project, places, samples, count, progress))
    results = {}
    for place in places or default_places(project):
        if place == REFERENCE:
            results[place] = _against_build(project)
            continue
        wanted = count or DEFAULT_COUNTS.get(place, _DEFAULT_COUNT)
        if samples is not None:
            wanted = min(wanted, len(samples))
        inputs = input_samples(project.network, samples or project.samples(), wanted)
        with open_place(project, place, progress) as backend:
            results[place] = _compare(project.network, backend, inputs, layers or place in (HOST, EMULATOR), progress)
    return Verification(results)


def _streamed(
    project: Project, places: Sequence[str], samples: DataSet | None, count: int | None, progress: Progress
) -> dict[str, Comparison]:
    """The windows that slide over the samples, at each place; "reference" is the stream's own."""
    step = project.step
    assert step is not None
    wanted = count or enough_samples(step)
    if samples is not None:
        wanted = min(wanted, len(samples))
    frames = frames_of(step, input_samples(project.network, samples or project.samples(), wanted))
    expected = expected_outputs(step, frames)
    results = {}
    for place in places or default_places(project):
        if place == REFERENCE:
            results[place] = _windows(step, expected, push_all(ReferenceStream(step), frames, progress, place), place)
            continue
        with open_place(project, place, progress) as backend:
            results[place] = _windows(step, expected, push_all(backend, frames, progress, place), place)
    return results


def _windows(step: StepGraph, expected: Mapping[int, Arrays], actual: Mapping[int, Arrays], place: str) -> Comparison:
    """The outputs of all windows; ``sample`` of a difference is the number of the window's last frame."""
    if expected.keys() != actual.keys():
        number = min(expected.keys() ^ actual.keys())
        what = f"{'gives no' if number in expected else 'gives'} outputs after frame {number}"
        raise GgdqError(what, place, "is the project's firmware on it?")
    tally = _Tally()
    for number, outputs in expected.items():
        for name, output, other in zip(step.whole.outputs, outputs, actual[number], strict=True):
            tally.add(number, name, output, other)
    return tally.comparison(len(expected))


class _Tally:
    """Counts elements and differences, and keeps the first difference."""

    def __init__(self) -> None:
        self.elements = 0
        self.mismatches = 0
        self.first: Difference | None = None

    def add(self, sample: int, layer: str, expected: Array, actual: Array) -> bool:
        """Compares one tensor; is it equal?"""
        if expected.size != actual.size:
            raise GgdqError(f"has {actual.size} elements, the reference {expected.size}", f"layer {layer!r}")
        wrong = np.flatnonzero(expected.ravel() != actual.ravel())
        self.elements += expected.size
        self.mismatches += len(wrong)
        if len(wrong) and self.first is None:
            at = int(wrong[0])
            self.first = Difference(sample, layer, at, int(expected.flat[at]), int(actual.flat[at]))
        return not len(wrong)

    def comparison(self, samples: int) -> Comparison:
        """The result."""
        return Comparison(samples, self.elements, self.mismatches, self.first)


def _against_build(project: Project) -> Comparison:
    """The reference on this computer and of this version, against what was stored at build time."""
    expected, network = project.expected(), project.network
    outputs = network.run(expected.inputs)
    tally = _Tally()
    count = len(outputs[network.outputs[0]])
    for sample in range(count):
        for name in network.outputs:
            tally.add(sample, name, expected.outputs[name][sample], outputs[name][sample])
    return tally.comparison(count)


def _compare(
    network: QuantizedGraph, backend: Backend, inputs: Mapping[str, Array], traced: bool, progress: Progress
) -> Comparison:
    """Every sample at one place; ``traced``: every layer of it, else the outputs."""
    tally = _Tally()
    samples = per_sample(inputs, network.inputs)
    for start, values in _reference(network, inputs, len(samples)):
        progress.step(f"comparing on {backend.name}", start, len(samples))
        chunk = samples[start : start + _CHUNK]
        outputs = [] if traced else backend.run(chunk)
        for i, sample in enumerate(chunk):
            expected = {name: value[i] for name, value in values.items()}
            if traced:
                for name, actual in _layers(network, backend, sample):
                    tally.add(start + i, name, expected[name], actual)
                continue
            unknown = tally.first is None
            for name, actual in zip(network.outputs, outputs[i], strict=True):
                tally.add(start + i, name, expected[name], actual)
            if unknown and tally.first:
                tally.first = _locate(network, backend, sample, start + i, expected) or tally.first
    return tally.comparison(len(samples))


def _reference(
    network: QuantizedGraph, inputs: Mapping[str, Array], count: int
) -> Iterator[tuple[int, dict[str, Array]]]:
    """The value of every node, a few samples at a time: (first sample, arrays (n, ...) by name)."""
    for start in range(0, count, _CHUNK):
        values: dict[str, Array] = {}
        network.run({name: x[start : start + _CHUNK] for name, x in inputs.items()}, _keep_in(values))
        yield start, values


def _keep_in(values: dict[str, Array]) -> Callable[[QuantizedNode, Array], Array]:
    def keep(node: QuantizedNode, value: Array) -> Array:
        values[node.name] = value
        return value

    return keep


def _layers(network: QuantizedGraph, backend: Backend, sample: tuple[Array, ...]) -> Iterator[tuple[str, Array]]:
    """Every layer's output on one sample, in the order of execution; the network's own outputs last."""
    trace = backend.trace(sample)
    for index, node in enumerate(network.nodes):
        if not node.inputs or node.operator.is_view or node.name in network.outputs:
            continue
        if index not in trace.layers:
            raise GgdqError(f"layer {node.name!r} was not run", backend.name)
        yield node.name, np.frombuffer(trace.layers[index], node.format.dtype.newbyteorder("<"))
    yield from zip(network.outputs, trace.outputs, strict=True)


def _locate(
    network: QuantizedGraph,
    backend: Backend,
    sample: tuple[Array, ...],
    number: int,
    expected: Mapping[str, Array],
) -> Difference | None:
    """The first layer that differs on a sample whose outputs do; None where the place cannot look inside."""
    try:
        layers = list(_layers(network, backend, sample))
    except GgdqError:
        return None
    tally = _Tally()
    for name, actual in layers:
        if not tally.add(number, name, expected[name], actual):
            break
    return tally.first
