"""What does a project's network hear in recordings? Decisions over time, and how often they are right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ggdq_mcu.emulation.recording import Listener
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format, QuantizedGraph
from ggdq_mcu.pipeline.project import open_project
from ggdq_mcu.progress import SILENT, Progress
from ggdq_mcu.wav import read_wav

NOTHING = "-"
_RATE = 16000  # of a network whose front end does not tell


@dataclass(frozen=True)
class Decision:
    """A class that was heard: when, in seconds from the beginning, its label, and the score that its output had."""

    seconds: float
    label: str
    score: float


@dataclass(frozen=True)
class Heard:
    """A recording: its file, its length, outputs that there were in it, the decisions, the one of the highest score."""

    file: str
    seconds: float
    outputs: int
    decisions: tuple[Decision, ...]
    best: str


@dataclass(frozen=True)
class Run:
    """All recordings. Of those in folders named by class: ``confusion``, how often each class was heard as which.

    ``misses``: recordings of a class in which nothing, or another, was heard first. ``false_alarms_per_hour``: decisions
    in recordings of other classes, by the hour of these.
    """

    recordings: tuple[Heard, ...]
    confusion: Mapping[str, Mapping[str, int]]
    misses: int
    false_alarms_per_hour: float | None


def run(
    folder: Path,
    recordings: Path,
    labels: Sequence[str] = (),
    threshold: float = 0.5,
    refractory: float = 1.0,
    progress: Progress = SILENT,
) -> Run:
    """Plays a .wav file, or those in the sub-folders of ``recordings``, to project ``folder``'s network on this computer.

    A class is heard where its score is the highest and at least ``threshold``, in real numbers, and ``refractory`` seconds have
    gone by since the last one. ``labels`` name the classes in order; else they are numbers. An output of one value has
    one class.
    """
    project = open_project(folder)
    files = _files(recordings)
    rate = _rate(project.network)
    heard = []
    with Listener(folder) as listener:
        form, count = _scores(project.network)
        names = list(labels) or [str(number) for number in range(count)]
        if len(names) != count:
            raise GgdqError(f"{len(names)} labels for {count} classes", "labels", "name each class, in order")
        for number, path in enumerate(files):
            progress.step("listening", number, len(files))
            samples = read_wav(path, rate)
            scores = [(place / rate, form.dequantize(one[0])) for place, one in listener.listen(samples)]
            decisions = tuple(_decisions(scores, names, threshold, refractory))
            best = max(decisions, key=lambda one: one.score).label if decisions else NOTHING
            heard.append(Heard(str(path), len(samples) / rate, len(scores), decisions, best))
    return _summed(heard, recordings, names)


def _files(recordings: Path) -> list[Path]:
    files = sorted(recordings.rglob("*.wav")) if recordings.is_dir() else [recordings]
    if not files:
        raise GgdqError(
            "has no .wav file in it", str(recordings), "give a recording, or folders of them named by class"
        )
    return files


def _rate(network: QuantizedGraph) -> int:
    rates = {getattr(node.operator, "rate", 0) for node in network.nodes} - {0}
    return rates.pop() if len(rates) == 1 else _RATE


def _scores(network: QuantizedGraph) -> tuple[Format, int]:
    """The format of the first output, and how many classes it has."""
    name = network.outputs[0]
    return network.by_name[name].format, int(np.prod(network.shapes[name]))


def _decisions(
    scores: Sequence[tuple[float, np.ndarray]], names: Sequence[str], threshold: float, refractory: float
) -> Iterator[Decision]:
    last = -np.inf
    for seconds, values in scores:
        best = int(values.argmax())
        if values[best] >= threshold and seconds - last >= refractory:
            last = seconds
            yield Decision(seconds, names[best], float(values[best]))


def _summed(heard: Sequence[Heard], recordings: Path, names: Sequence[str]) -> Run:
    """The recordings and what they come to, where their folders are named like classes."""
    confusion: dict[str, dict[str, int]] = {}
    misses, alarms, hours = 0, 0, 0.0
    for one in heard if recordings.is_dir() else ():
        kind = Path(one.file).parent.name
        row = confusion.setdefault(kind, {})
        row[one.best] = row.get(one.best, 0) + 1
        misses += kind in names and one.best != kind
        alarms += sum(decision.label != kind for decision in one.decisions)
        hours += one.seconds / 3600
    return Run(tuple(heard), confusion, misses, alarms / hours if hours else None)
