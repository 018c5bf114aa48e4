"""Are the samples scaled and laid out as the network was trained, and do the labels count as it does? Labels tell best.

A network that is right on few of its own labelled samples mostly gets them in another scale, channel order or layout than in
training. Each of these is tried; one that makes far more samples right is named. Without labels, the statistics that
BatchNormalization recorded in training tell, or a softmax whose logits are too far apart for any trained network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import comb, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.data import DataSet
from ggdq_mcu.describe.classes import boundary, classes_of, classes_of_labels
from ggdq_mcu.describe.tasks import Task, are_classes, task_of
from ggdq_mcu.graph import Graph, Node
from ggdq_mcu.operators.embedding import Embedding
from ggdq_mcu.quantization.plausible import contradiction, misfit, odd_samples

Array = NDArray[Any]
CHECKED_SAMPLES = 100  # at most
_SCREENED = 8  # samples that each change is tried on first; the best that lose nothing there see more, then all
_SCREENED_AGAIN = 40
_FINALISTS = 4
_GOOD = 0.95  # accuracy that leaves nothing to suspect
_FEWEST = 10
_CHANCE = 1e-3  # probability of a false alarm, for each thing that is tried
_FARTHEST_APART = 50.0  # of logits, in the median; trained networks were seen to have 15
_IMAGENET = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], np.float32)
_CAFFE = np.array([103.939, 116.779, 123.68], np.float32)


@dataclass(frozen=True)
class Change:
    """Something that may have been done to samples otherwise than in training: what it is, and its undoing."""

    told: str
    undo: Callable[[Array], Array]


_SCALES = (
    Change("multiply the samples by 255 (the network takes 0..255)", lambda x: x * 255),
    Change("divide the samples by 255 (the network takes 0..1)", lambda x: x / 255),
    Change("scale the samples from 0..255 to -1..1: x / 127.5 - 1", lambda x: x / 127.5 - 1),
    Change("scale the samples from 0..1 to -1..1: 2 * x - 1", lambda x: 2 * x - 1),
    Change("scale the samples from -1..1 to 0..1: (x + 1) / 2", lambda x: (x + 1) / 2),
    Change("scale the samples from -1..1 to 0..255: (x + 1) * 127.5", lambda x: (x + 1) * 127.5),
    Change("subtract 128 from the samples", lambda x: x - 128),
    Change("add 128 to the samples", lambda x: x + 128),
    Change("multiply the samples by 32768 (the network takes 16-bit audio)", lambda x: x * 32768),
    Change("divide the samples by 32768 (the network takes audio in -1..1)", lambda x: x / 32768),
    Change("invert the samples: 255 - x", lambda x: 255 - x),
    Change("invert the samples: 1 - x", lambda x: 1 - x),
)
_COLOUR_SCALES = (
    Change("normalize as ImageNet: (x - mean) / deviation of x in 0..1", lambda x: (x - _IMAGENET[0]) / _IMAGENET[1]),
    Change(
        "divide by 255 and normalize as ImageNet: (x / 255 - mean) / deviation",
        lambda x: (x / 255 - _IMAGENET[0]) / _IMAGENET[1],
    ),
    Change("reverse the channels to BGR and subtract the means of ImageNet", lambda x: x[..., ::-1] - _CAFFE),
)
_REVERSED = Change("reverse the order of the channels (RGB and BGR)", lambda x: x[..., ::-1])
_FROM_CHANNELS_FIRST = Change(
    "move the channels: the values lie channels first, x.reshape(N, C, H, W).transpose(0, 2, 3, 1)",
    lambda x: np.moveaxis(x.reshape(len(x), x.shape[-1], *x.shape[1:-1]), 1, -1),
)
_TRANSPOSED = Change("swap rows and columns: x.swapaxes(1, 2)", lambda x: np.swapaxes(x, 1, 2))


def suspicions(graph: Graph, data: DataSet | None) -> list[str]:
    """What samples say against themselves, their scaling, their layout or their labels, a line each; mostly nothing.

    ``graph``: the float network. Scaling is judged for networks of one input, on at most CHECKED_SAMPLES samples.
    """
    if data is None:
        return []
    odd = odd_samples(data)
    return odd or _of_labelled(graph, data) or _of_unlabelled(graph, data)


def _of_unlabelled(graph: Graph, data: DataSet) -> list[str]:
    """What the network says of samples without labels: the scaling that its statistics, or its softmax, ask for."""
    (name, *others) = graph.inputs
    if others or any(isinstance(reader.operator, Embedding) for reader in graph.consumers(name)):
        return []
    x = np.asarray(data.first(_SCREENED_AGAIN).samples[name], np.float32)
    where = data.source or "the samples"
    found = misfit(graph, {name: x})
    if found is not None:
        if found <= contradiction(len(x)):
            return []
        changes = list(_changes(x.shape[1:]))
        fits = [misfit(graph, {name: change.undo(x)}) for change in changes]
        least, change = min(
            ((fit, change) for fit, change in zip(fits, changes, strict=True) if fit is not None),
            key=lambda one: one[0],
            default=(np.inf, changes[0]),
        )
        if least > found / 4 or least > contradiction(len(x)) / 2:
            return []
        return [
            f"{where} contradicts what BatchNormalization recorded in training, and would not if changed: {change.told}"
        ]
    apart = _logits_apart(graph, x)
    if apart is not None and apart > _FARTHEST_APART:
        for change in _SCALES[1:3]:
            changed = _logits_apart(graph, change.undo(x))
            if changed is not None and changed < _FARTHEST_APART / 2:
                return [
                    f"{where}: the two likeliest classes are e^{apart:.0f} apart for half of the samples, "
                    f"as for values far beyond those of training; likely: {change.told}"
                ]
    return []


def _logits_apart(graph: Graph, x: Array) -> float | None:
    """The median distance of the two largest logits of the first output; None where no softmax reads them."""
    node = graph.by_name[graph.outputs[0]]
    if not node.operator.reads_wide or graph.shapes[node.name][-1] < 2:
        return None
    kept: list[Array] = []

    def keep(made: Node, value: Array) -> Array:
        if made.name == node.inputs[0]:
            kept.append(value.reshape(-1, value.shape[-1]))
        return value

    with np.errstate(all="ignore"):
        graph.run({graph.inputs[0]: x}, keep)
    two = np.sort(kept[0], axis=-1)[:, -2:].astype(np.float64)
    return float(np.median(two[:, 1] - two[:, 0]))


def _of_labelled(graph: Graph, data: DataSet) -> list[str]:
    """What labels say against the scaling or layout of a classification's samples, or themselves."""
    if data.labels is None or len(graph.inputs) != 1 or task_of(graph, data.labels) is not Task.CLASSES:
        return []
    shape = graph.shapes[graph.outputs[0]]
    if not are_classes(data.labels, shape):
        return []
    data = data.first(CHECKED_SAMPLES)
    x = np.asarray(data.samples[graph.inputs[0]], np.float32)
    labels = np.asarray(classes_of_labels(np.asarray(data.labels), shape), np.int64)
    given = _classes(graph, x)
    right = given == labels
    if right.size < _FEWEST or right.mean() >= _GOOD:
        return []
    told = (
        f"the float network is right on {right.mean():.1%} of {len(x)} labelled samples of {data.source or 'the data'}"
    )
    reason = _of_labels(given, labels, right) or _of_samples(graph, x, labels, right)
    if not reason and _no_better_than_chance(right, labels, given):
        reason = (
            "which is no better than chance: check that the samples are scaled as in training, "
            "and that the labels y count as the network's outputs do"
        )
    return [f"{told}, {reason}"] if reason else []


def _of_labels(given: Array, labels: Array, right: Array) -> str:
    """What is wrong with the labels, and what to do; "" where they fit as well as others."""
    for told, moved, way in (("1 too high", -1, "subtract 1 from them"), ("1 too low", 1, "add 1 to them")):
        shifted = given == labels + moved
        if _clearly_better(shifted, right):
            return f"and on {shifted.mean():.1%} if the labels y are {told}: {way}"
    return ""


def _of_samples(graph: Graph, x: Array, labels: Array, right: Array) -> str:
    """The change of the samples that makes most of them right, and what that gives; "" where none is clearly better."""
    indices = any(isinstance(reader.operator, Embedding) for reader in graph.consumers(graph.inputs[0]))

    def outcome(change: Change, count: int) -> Array:
        return np.asarray(_classes(graph, change.undo(x[:count])) == labels[:count])

    changes = [] if indices else list(_changes(x.shape[1:]))
    screened = [(float(outcome(change, _SCREENED).mean()), -number) for number, change in enumerate(changes)]
    screened = [one for one in sorted(screened, reverse=True) if one[0] >= right[:_SCREENED].mean()]
    found, most = "", 0.0
    for _, number in screened[:_FINALISTS]:
        change = changes[-number]
        if outcome(change, _SCREENED_AGAIN).mean() <= right[:_SCREENED_AGAIN].mean():
            continue
        changed = outcome(change, len(x))
        if _clearly_better(changed, right) and changed.mean() > most:
            most = float(changed.mean())
            found = f"and would be on {most:.1%} if they were changed, likely to what it was trained on: {change.told}"
    return found


def _changes(shape: tuple[int, ...]) -> Iterator[Change]:
    """What may have been done to samples of ``shape``."""
    yield from _SCALES
    if len(shape) < 2:
        return
    if len(shape) == 3 and shape[-1] > 1:
        yield _FROM_CHANNELS_FIRST
    if shape[0] == shape[1] and shape[0] > 1:
        yield _TRANSPOSED
    if shape[-1] == 3:
        yield _REVERSED
        yield from _COLOUR_SCALES
        yield from map(_reversed_too, _SCALES[:6])


def _reversed_too(change: Change) -> Change:
    return Change(f"{change.told}; and {_REVERSED.told}", lambda x: change.undo(x)[..., ::-1])


def _classes(graph: Graph, x: Array) -> Array:
    name = graph.outputs[0]
    batches: Iterator[Mapping[str, Array]] = DataSet({graph.inputs[0]: x}).batches()
    with np.errstate(all="ignore"):  # wrongly scaled samples may overflow
        outputs = np.concatenate([graph.run(batch)[name] for batch in batches])
    return classes_of(outputs, boundary(graph, name))


def _clearly_better(outcome: Array, right: Array) -> bool:
    """Is more right than before, beyond chance (McNemar's exact test)?"""
    gained, lost = int((outcome & ~right).sum()), int((right & ~outcome).sum())
    return gained > lost and _tail(gained, gained + lost, 0.5) < _CHANCE


def _no_better_than_chance(right: Array, labels: Array, given: Array) -> bool:
    """Could guesses as frequent as the network's be as often right? Where it gives one class only, that says nothing."""
    classes = np.union1d(labels, given)
    expected = sum(float((labels == one).mean()) * float((given == one).mean()) for one in classes)
    if prod(right.shape) < 2 * _FEWEST or len(np.unique(labels)) < 2:
        return False
    return _tail(int(right.sum()), right.size, min(expected, 0.999)) > 0.05


def _tail(successes: int, trials: int, probability: float) -> float:
    """Probability of so many successes or more."""
    if trials > 1000:  # of maps: the normal approximation is near enough
        spread = max((trials * probability * (1 - probability)) ** 0.5, 1e-9)
        return 0.0 if successes > trials * probability + 5 * spread else 1.0
    return sum(
        comb(trials, count) * probability**count * (1 - probability) ** (trials - count)
        for count in range(successes, trials + 1)
    )
