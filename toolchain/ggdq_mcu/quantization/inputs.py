"""Which format does an input get? The grid that its values lie on, one for all channels, or one for each of them.

Values that come from an integer pipeline (pixels, features of another quantized network) lie on a grid; a step that is the
grid's costs nothing. Channels of different ranges, as accelerations in g beside rates in degrees a second, lose all but a
few levels under one step. Where linear layers alone read the input, each channel has a step and a zero point of its own: the
steps go into the layers' weights, the zero points into their biases, so that nothing is paid for them on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.quantization.distortion import Levels
from ggdq_mcu.quantization.headroom import Peaks, Room
from ggdq_mcu.quantization.histogram import Histogram
from ggdq_mcu.quantization.schemes import Scheme

Array = NDArray[Any]
_FEWEST_LEVELS = 12  # on a grid: fewer may be a coincidence, and other samples lie between them
_ON_GRID = 1e-3  # of the grid's step, and float32's rounding beside it
_FARTHEST = 1 << 20  # steps from a channel's values to 0: float32 still tells a tenth of a step there
_FOLDS = 4
_WORTH = 0.5  # of the noise at the layers that read the input: what formats by channel have to go below
_ROOMY = 12  # bits: see formats.py


def grid_format(values: Array, bits: int) -> Format | None:
    """The format of the grid, multiples of one step, that all values lie on; None where there is none of so many levels."""
    unique = np.unique(np.asarray(values, np.float64))
    if not _FEWEST_LEVELS <= len(unique) <= 1 << bits:
        return None
    gaps = np.diff(unique)
    gaps = gaps[gaps > 1e-6 * np.abs(unique).max()]
    for parts in (1, 2, 3):
        step = float(gaps.min()) / parts
        for _ in range(2):  # the first step is known to a rounding error, which grows with the multiples
            multiples = np.round(unique / step)
            step = float(unique @ multiples / (multiples @ multiples))
        multiples = np.round(unique / step)
        rest = np.abs(unique - step * multiples)
        if np.all(rest <= _ON_GRID * step + 1e-6 * np.abs(unique)):
            return _spanning(step, int(min(multiples[0], 0)), int(max(multiples[-1], 0)), bits)
    return None


def _spanning(step: float, low: int, high: int, bits: int) -> Format | None:
    """Levels ``low`` to ``high``, and what is left of the type shared by both sides as they share these."""
    spare = (1 << bits) - 1 - (high - low)
    if spare < 0:
        return None
    if low == 0 and bits <= 8:
        return Format(bits, False, step)
    below = low + round(spare * low / max(high - low, 1))
    return Format(bits, True, step, -(1 << (bits - 1)) - below)


def by_channel(values: Array, bits: int, chosen: Scheme, headroom: bool, offset: bool) -> Format:
    """A step for each channel of values (N, ..., C), and with ``offset`` a zero point, in the middle of the channel's range."""
    rows = np.asarray(values, np.float64).reshape(len(values), -1, values.shape[-1])
    low, high = rows.min(axis=(0, 1)), rows.max(axis=(0, 1))
    middle = (low + high) / 2 if offset else np.zeros(len(low))
    centred = (rows - middle).astype(np.float32)
    distribution, levels = Histogram.of(centred).channel_distributions(), Levels.of(bits, True)
    steps = chosen.steps(distribution, bits, True)
    if bits >= _ROOMY:
        steps = 2 * steps
    elif headroom:
        steps = Room.of(steps, levels, distribution, Peaks.of(centred)).step(1.0)
    steps = np.maximum(steps, np.abs(middle) / _FARTHEST)
    zeros = -np.round(middle / steps).astype(np.int64)
    return Format(bits, True, steps, 0, zeros if zeros.any() else None)


def channels_may_differ(graph: Graph, name: str) -> tuple[bool, bool]:
    """May the channels of the input have steps, and zero points, of their own? Where linear layers alone read them.

    What is padded stands for 0 in every channel, and needs one zero point.
    """
    steps = zeros = name not in graph.outputs and graph.shapes[name][-1:] not in ((), (1,))
    for reader in graph.consumers(name):
        operator = reader.operator
        if isinstance(operator, Linear):
            steps = steps and not operator.padding_value
            zeros = zeros and not any(getattr(operator, "padding", ()))
            continue
        shape = graph.shapes[name]
        carried = operator.keeps_format and operator.carry_step(np.ones(shape[-1:]), [shape]) is not None
        below = channels_may_differ(graph, reader.name) if steps and carried else (False, False)
        steps, zeros = steps and below[0], zeros and below[1] and operator.is_view
    return steps, steps and zeros


def worth_channels(graph: Graph, name: str, values: Array, one: Format, make: Callable[[Array], Format]) -> bool:
    """Do formats by channel lower the noise at the layers that read the input, on samples that they were not made from?

    ``make`` gives them for samples (N, ..., C); each fold of ``values`` is judged by those of the others. ``one`` knows all.
    """
    if not _ranges_differ(graph, name, values):
        return False
    folds = [values[fold :: min(_FOLDS, len(values))] for fold in range(min(_FOLDS, len(values)))]
    limit = _WORTH * sum(_noise(graph, name, _squares(held_out, one)) for held_out in folds)
    noise = 0.0
    for fold, held_out in enumerate(folds):
        rest = np.concatenate([other for i, other in enumerate(folds) if i != fold or len(folds) == 1])
        noise += _noise(graph, name, _squares(held_out, make(rest)))
        if noise >= limit:  # the others can only add to it
            return False
    return noise < limit


def _ranges_differ(graph: Graph, name: str, values: Array) -> bool:
    """Is there anything to gain, if each channel's noise is as the square of its range? That is soon known."""
    rows = values.reshape(-1, values.shape[-1])
    ranges = np.square(np.ptp(rows, axis=0).astype(np.float64))
    whole = np.full_like(ranges, np.square(float(max(rows.max(), 0.0)) - float(min(rows.min(), 0.0))))
    return _noise(graph, name, ranges) < _WORTH * _noise(graph, name, whole)


def _squares(values: Array, form: Format) -> Array:
    error = form.dequantize(form.quantize(values)) - values
    return np.asarray(np.mean(np.square(error).reshape(-1, values.shape[-1]), axis=0))


def _noise(graph: Graph, name: str, squares: Array) -> float:
    """Sum of the noise at the linear layers that read the tensor, where its channels have this much (C,)."""
    total = 0.0
    for reader, carried in _readers(graph, name, squares):
        assert isinstance(reader.operator, Linear)
        kernel = np.asarray(reader.weights["kernel"], np.float64)
        total += float((kernel**2 * reader.operator.input_step(kernel, carried)).sum())
    return total


def _readers(graph: Graph, name: str, values: Array) -> Iterator[tuple[Node, Array]]:
    for reader in graph.consumers(name):
        if isinstance(reader.operator, Linear):
            yield reader, values
        else:
            carried = reader.operator.carry_step(values, [graph.shapes[name]])
            if carried is not None:
                yield from _readers(graph, reader.name, carried)


def carried(node: Node, source: Format, shape: tuple[int, ...]) -> Format | None:
    """The format of a node that keeps that of its input of ``shape``, channel by channel; None where it cannot."""
    step = node.operator.carry_step(np.asarray(source.step), [shape])
    zeros = None if source.zeros is None else node.operator.carry_step(source.zeros, [shape])
    return None if step is None else replace(source, step=step, zeros=zeros)


def absorbed(node: Node, source: Format) -> tuple[Node, Format]:
    """A linear node whose bias has what the zero points of its input's channels add up to, and that input without them."""
    if source.zeros is None:
        return node, source
    operator = node.operator
    assert isinstance(operator, Linear)
    kernel = np.asarray(node.weights["kernel"], np.float64)
    offset = operator.by_output(kernel * operator.input_step(kernel, source.step * source.zeros)).sum(axis=0)
    weights: Mapping[str, Array] = {**node.weights, "bias": node.weights.get("bias", 0.0) - offset}
    return replace(node, weights=weights), replace(source, zeros=None)
