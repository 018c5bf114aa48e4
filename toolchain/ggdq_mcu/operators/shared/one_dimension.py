"""How is a layer for sequences computed? As the layer for images, on an image of height 1."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Node
from ggdq_mcu.graph.graph import infer_shape
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.sources.keras import KerasLayer

Array = NDArray[Any]
Convert = Callable[[KerasLayer], list[Node]]
_SIZES = ("kernel_size", "strides", "dilation_rate", "pool_size", "size", "output_size")
_EDGES = ("padding", "cropping")


def one_dimensional(convert: Convert) -> Convert:
    """What turns a layer for sequences (length, channels) into nodes, where ``convert`` does it for images."""

    def converted(layer: KerasLayer) -> list[Node]:
        if layer.text("data_format", "channels_last") != "channels_last":
            raise layer.error("data_format channels_first is not supported", "train or convert it with channels_last")
        if len(layer.shape) != 2:
            raise layer.error(f"its input {layer.shape} is not a sequence (length, channels)")
        shape = (1, *layer.shape)
        image = Node(layer.auxiliary("image"), Reshape(shape), layer.inputs)
        stored = [_Kernel(one) if len(one.shape) > 1 else one for one in layer.stored]
        nodes = convert(replace(layer, config=_of_images(layer), inputs=(image.name,), shapes=(shape,), stored=stored))
        output = _output_shape(nodes, {image.name: shape})
        if len(output) < 3:
            return [image, *nodes]
        row = replace(nodes[-1], name=layer.auxiliary("row"))
        return [image, *nodes[:-1], row, Node(layer.name, Reshape(output[1:]), (row.name,))]

    text = (convert.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("2D", "1D")
    converted.__doc__ = f"{text} Computed on an image of height 1."
    return converted


class _Kernel:
    """A stored kernel (length, ...) as a kernel (1, length, ...) of an image's layer."""

    def __init__(self, stored: Any) -> None:
        self._stored, self.dtype, self.shape = stored, stored.dtype, (1, *stored.shape)

    def __getitem__(self, key: Any) -> Array:
        return np.asarray(self._stored[()])[None]


def _of_images(layer: KerasLayer) -> Mapping[str, Any]:
    config = dict(layer.config)
    for key in _SIZES:
        if config.get(key) is not None:
            value = config[key]
            config[key] = [1, value[0] if isinstance(value, list | tuple) and len(value) == 1 else value]
    for key in _EDGES:
        if key in config and not isinstance(config[key], str):
            config[key] = [0, config[key]]
    return config


def _output_shape(nodes: list[Node], shapes: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    for node in nodes:
        shapes[node.name] = infer_shape(node, shapes)
    return shapes[nodes[-1].name]
