"""Operations of keras.ops that move values: other orders of axes, parts, repetitions; nothing is computed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ggdq_mcu.graph import Node
from ggdq_mcu.operators.broadcast import Broadcast
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.shared.composition import Composition
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.sources.keras import TENSOR, KerasLayer, Outputs, takes

_MOST_PARTS = 256  # that a tensor is cut into


def part(parts: Composition, value: str, axis: int, start: int, size: int) -> str:
    """``size`` positions of an axis from ``start`` on."""
    shape = parts.shapes[value]
    if (start, size) == (0, shape[axis]):
        return value
    starts = tuple(start if one == axis else 0 for one in range(len(shape)))
    return parts.add(Slice(starts, (*shape[:axis], size, *shape[axis + 1 :])), value)


def gathered(parts: Composition, value: str, axis: int, places: list[int]) -> str:
    """The positions ``places`` of an axis, in this order: runs of neighbours, joined."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
        else:
            runs.append([place, 1])
    if len(runs) > _MOST_PARTS:
        raise parts.layer.error(f"cuts a tensor into {len(runs)} parts", f"use at most {_MOST_PARTS}")
    pieces = [part(parts, value, axis, start, size) for start, size in runs]
    return pieces[0] if len(pieces) == 1 else parts.add(Concatenate(axis - len(parts.shapes[value])), *pieces)


def exchanged(layer: KerasLayer) -> list[Node]:
    """Swapaxes and Moveaxis, of axes beside the batch."""
    rank, parts = len(layer.shape), Composition(layer)
    order = list(range(rank))
    if layer.class_name == "Swapaxes":
        first, second = (layer.axis(key, rank) for key in ("axis1", "axis2"))
        order[first], order[second] = second, first
    else:
        source, target = (layer.axis(key, rank) for key in ("source", "destination"))
        order.insert(target, order.pop(source))
    return parts.done(parts.permute(layer.source, order))


def stacked(layer: KerasLayer) -> list[Node]:
    """Stack, along a new axis beside the batch, and Hstack."""
    parts, rank = Composition(layer), len(layer.shapes[0])
    if layer.class_name == "Hstack":
        return parts.done(parts.add(Concatenate(-rank), *layer.inputs))
    axis = layer.axis("axis", rank + 1)
    rows = [
        parts.reshape(one, (*shape[:axis], 1, *shape[axis:]))
        for one, shape in zip(layer.inputs, layer.shapes, strict=True)
    ]
    return parts.done(parts.add(Concatenate(axis - rank - 1), *rows) if len(rows) > 1 else rows[0])


def split(layer: KerasLayer) -> Outputs:
    """Split, into equal parts or at constant places, and Unstack."""
    parts, axis = Composition(layer), layer.axis("axis", len(layer.shape))
    whole = layer.shape[axis]
    if layer.class_name == "Unstack":
        names = [part(parts, layer.source, axis, place, 1) for place in range(whole)]
        return parts.outputs(*(parts.reshape(one, (*layer.shape[:axis], *layer.shape[axis + 1 :])) for one in names))
    given = layer.config.get("indices_or_sections")
    if isinstance(given, list):
        ends = [*layer.integers("indices_or_sections", 0), whole]
    else:
        count = layer.integer("indices_or_sections")
        if whole % count:
            raise layer.error(f"{count} parts do not divide {whole}")
        ends = [whole // count * (index + 1) for index in range(count)]
    starts = [0, *ends[:-1]]
    if any(start >= end for start, end in zip(starts, ends, strict=True)):
        raise layer.error(f"places {ends[:-1]} do not ascend within {whole}")
    return parts.outputs(
        *(part(parts, layer.source, axis, start, end - start) for start, end in zip(starts, ends, strict=True))
    )


def tiled(layer: KerasLayer) -> list[Node]:
    """Tile, of axes beside the batch."""
    counts, parts, value = layer.integers("repeats", 1), Composition(layer), layer.source
    if len(counts) != len(layer.shape) + 1 or counts[0] != 1 or max(counts) > _MOST_PARTS:
        raise layer.error(f"repeats {tuple(counts)} are not 1 for the batch and one for each axis")
    for axis, count in enumerate(counts[1:]):
        if count > 1:
            value = parts.add(Concatenate(axis - len(layer.shape)), *[value] * count)
    return parts.done(value)


def repeated(layer: KerasLayer) -> list[Node]:
    """Repeat each position of an axis equally often."""
    parts, axis, count = Composition(layer), layer.axis("axis", len(layer.shape)), layer.integer("repeats")
    before, size, after = layer.shape[:axis], layer.shape[axis], layer.shape[axis + 1 :]
    apart = parts.reshape(layer.source, (*before, size, 1, *after))
    return parts.done(
        parts.reshape(parts.add(Broadcast((*before, size, count, *after)), apart), (*before, size * count, *after))
    )


def reordered(layer: KerasLayer) -> list[Node]:
    """Flip, Roll and Take of constant places, along one axis beside the batch."""
    parts, axis = Composition(layer), layer.axis("axis", len(layer.shape))
    if layer.config.get("axis") is None:
        raise layer.error("works on all axes, the batch too (axis None)", "name an axis")
    places, whole = list(range(layer.shape[axis])), layer.shape[axis]
    if layer.class_name == "Flip":
        return parts.done(gathered(parts, layer.source, axis, places[::-1]))
    if layer.class_name == "Roll":
        shift = layer.config.get("shift")
        if type(shift) is not int:
            raise layer.error(f"shift {str(shift)[:40]} is not a whole number")
        return parts.done(gathered(parts, layer.source, axis, [(place - shift) % whole for place in places]))
    if len(layer.arguments) != 2 or layer.arguments[0] is not TENSOR or layer.arguments[1] is TENSOR:
        raise layer.error("is not a tensor and constant places", "take constant places")
    given = layer.array("its places", layer.arguments[1])
    if given.ndim > 1 or not given.size or any(one % 1 or not -whole <= one < whole for one in given.ravel()):
        raise layer.error(f"places {given.ravel()[:8].tolist()} are not within {whole}")
    taken = gathered(parts, layer.source, axis, [int(one) % whole for one in given.ravel()])
    return parts.done(taken if given.ndim else parts.reshape(taken, (*layer.shape[:axis], *layer.shape[axis + 1 :])))


def blocks(layer: KerasLayer) -> list[Node]:
    """DepthToSpace and SpaceToDepth of images, channels last."""
    (height, width), channels = layer.image
    block, parts = layer.integer("block_size"), Composition(layer)
    if layer.class_name == "SpaceToDepth":
        if height % block or width % block:
            raise layer.error(f"blocks of {block} do not divide {height}x{width}")
        apart = parts.reshape(layer.source, (height // block, block, width // block, block, channels))
        moved = parts.permute(apart, (0, 2, 1, 3, 4))
        return parts.done(parts.reshape(moved, (height // block, width // block, block * block * channels)))
    if channels % block**2:
        raise layer.error(f"blocks of {block} do not divide {channels} channels")
    apart = parts.reshape(layer.source, (height, width, block, block, channels // block**2))
    moved = parts.permute(apart, (0, 2, 1, 3, 4))
    return parts.done(parts.reshape(moved, (height * block, width * block, channels // block**2)))


@takes("training")
def center_crop(layer: KerasLayer) -> list[Node]:
    """CenterCrop of images that are not smaller."""
    (height, width), channels = layer.image
    out = (layer.integer("height"), layer.integer("width"))
    if out[0] > height or out[1] > width:
        raise layer.error(f"crops {height}x{width} to the larger {out[0]}x{out[1]}", "use an input that is not smaller")
    start = ((height - out[0]) // 2, (width - out[1]) // 2, 0)
    return [layer.node(Slice(start, (*out, channels)))]


LAYERS: Mapping[str, Callable[..., Any]] = {"CenterCrop": center_crop}
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("Moveaxis", "Swapaxes"), exchanged),
    **dict.fromkeys(("Hstack", "Stack"), stacked),
    **dict.fromkeys(("Split", "Unstack"), split),
    **dict.fromkeys(("Flip", "Roll", "Take"), reordered),
    **dict.fromkeys(("DepthToSpace", "SpaceToDepth"), blocks),
    "Repeat": repeated,
    "Tile": tiled,
}
