"""Reductions of keras.ops over any axes but the batch: means, sums, extremes, variances, norms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.graph.window import Size
from ggdq_mcu.importers.composed.functions import truth
from ggdq_mcu.operators.activation import Activation
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.average_pool2d import AveragePool2D
from ggdq_mcu.operators.log_softmax import LogSoftmax
from ggdq_mcu.operators.max_pool2d import MaxPool2D
from ggdq_mcu.operators.min_pool2d import MinPool2D
from ggdq_mcu.operators.multiply import Multiply
from ggdq_mcu.operators.shared.composition import Composition
from ggdq_mcu.operators.sum_pool2d import SumPool2D
from ggdq_mcu.sources.keras import KerasLayer, Outputs

Pool = Callable[[Size, Size], Operator]


def reduced(parts: Composition, value: str, axes: Sequence[int], keeps: bool, pool: Pool) -> str:
    """``pool`` over ``axes``: as the middle one of three where they follow each other, else moved to the end."""
    shape = parts.shapes[value]
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    if list(axes) == list(range(axes[0], axes[-1] + 1)):
        before, after = prod(shape[: axes[0]]), prod(shape[axes[-1] + 1 :])
    else:
        value, before, after = parts.permute(value, [*kept, *axes]), prod(shape[axis] for axis in kept), 1
    middle = prod(shape[axis] for axis in axes)
    pooled = parts.add(pool(Size(1, middle), Size(1, middle)), parts.reshape(value, (before, middle, after)))
    target = tuple(1 if axis in axes else size for axis, size in enumerate(shape) if keeps or axis not in axes)
    return parts.reshape(pooled, target)


def axes_of(layer: KerasLayer, key: str = "axis") -> list[int]:
    """The axes of a reduction, ascending."""
    given = layer.config.get(key)
    if given is None:
        raise layer.error(f"reduces all axes, the batch too ({key} None)", "name the axes, without 0")
    named = given if isinstance(given, list | tuple) else [given]
    return sorted({layer.axis(key, len(layer.shape), one) for one in named})


def _largest(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return reduced(parts, value, axes, keeps, MaxPool2D)


def _mean(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return reduced(parts, value, axes, keeps, AveragePool2D)


def _smallest(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return reduced(parts, value, axes, keeps, MinPool2D)


def _sum(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return reduced(parts, value, axes, keeps, SumPool2D)


def _variance(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    centred = parts.add(Add(signs=(1, -1)), value, _mean(parts, value, axes, True))
    return _mean(parts, parts.add(Multiply(), centred, centred), axes, keeps)


def _deviation(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return parts.add(Activation("square_root"), _variance(parts, value, axes, keeps))


def _root_of_squares(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return parts.add(Activation("square_root"), _sum(parts, parts.add(Multiply(), value, value), axes, keeps))


def _all(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return _smallest(parts, truth(parts, value), axes, keeps)


def _any(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return _largest(parts, truth(parts, value), axes, keeps)


def _count(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    return _sum(parts, truth(parts, value), axes, keeps)


def _logarithm_of_sum(parts: Composition, value: str, axes: Sequence[int], keeps: bool) -> str:
    """log-softmax is x - log(sum of exp(x)), so their largest values differ by what is asked for."""
    shares = parts.with_last(value, axes, lambda rows: parts.add(LogSoftmax(), rows))
    return parts.add(Add(signs=(1, -1)), _largest(parts, value, axes, keeps), _largest(parts, shares, axes, keeps))


_REDUCTIONS: Mapping[str, Callable[[Composition, str, Sequence[int], bool], str]] = {
    "All": _all,
    "Amax": _largest,
    "Amin": _smallest,
    "Any": _any,
    "CountNonzero": _count,
    "Logsumexp": _logarithm_of_sum,
    "Max": _largest,
    "Mean": _mean,
    "Min": _smallest,
    "Norm": _root_of_squares,
    "Std": _deviation,
    "Sum": _sum,
    "Var": _variance,
}


def reduction(layer: KerasLayer) -> list[Node]:
    """Reductions over any axes but the batch; Norm is the Euclidean one."""
    if layer.config.get("ord") not in (None, 2, "fro", "euclidean") or layer.config.get("initial") is not None:
        raise layer.error("ord and initial are not supported", "leave them out")
    parts, axes = Composition(layer), axes_of(layer)
    compute = _REDUCTIONS[layer.class_name]
    return parts.done(compute(parts, layer.source, axes, layer.flag("keepdims", False)))


def moments(layer: KerasLayer) -> Outputs:
    """Moments: mean and variance over any axes but the batch."""
    parts, axes, keeps = Composition(layer), axes_of(layer, "axes"), layer.flag("keepdims", False)
    mean, variance = (compute(parts, layer.source, axes, keeps) for compute in (_mean, _variance))
    return parts.outputs(mean, variance)


OPERATIONS: Mapping[str, Callable[..., Any]] = {**dict.fromkeys(_REDUCTIONS, reduction), "Moments": moments}
