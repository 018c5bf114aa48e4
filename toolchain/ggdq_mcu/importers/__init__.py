"""How does a trained network come in? Model files and live models to graphs; no code of a file is ever run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ggdq_mcu.graph import Graph, QuantizedGraph
    from ggdq_mcu.importers.shapes import InputShapes

__all__ = ["is_quantized", "load", "load_kept"]


def load(
    source: str | os.PathLike[str] | Any, name: str | None = None, input_shapes: InputShapes | None = None
) -> Graph:
    """The float graph of a trained network.

    ``source`` is a file of Keras 2 or 3 (.h5, .hdf5, .keras), a .tflite or .onnx file, a SavedModel folder, or a live
    ``keras.Model``; ``name`` is the graph's name, by default the file's without its ending, or the live model's. Files
    are told by their content. What is quantized in a .tflite file is multiplied out. ``input_shapes``: sizes that the
    file leaves open, by input name (under "" for the only input), with the batch: {"image": (1, 3, 320, 240)}.
    Raises GgdqError, naming the file and the layer, for anything that is not a network of supported layers with finite
    weights of the right shapes; what else is in the way of the file is in the error's ``others``.
    """
    from ggdq_mcu.importers.source import load_file, load_live

    if isinstance(source, str | os.PathLike):
        return load_file(Path(source), name, input_shapes)
    return load_live(source, name, input_shapes)


def load_kept(
    path: str | os.PathLike[str], name: str | None = None, micro: bool = True
) -> tuple[Graph, QuantizedGraph]:
    """A quantized .tflite file in real numbers, and in its own integers: TFLite's formats and arithmetic, to the bit.

    Both graphs have the same nodes. ``micro``: the arithmetic is that of TensorFlow Lite Micro, else that of TensorFlow
    Lite's reference kernels for desktops. Raises GgdqError, naming the file and the operator, for what is not quantized to
    8 or 16 bits, or whose arithmetic cannot be kept.
    """
    from ggdq_mcu.importers.source import load_kept as load_file

    return load_file(Path(path), name, micro)


def is_quantized(path: str | os.PathLike[str]) -> bool:
    """Is it a .tflite file whose integers stand for real numbers from its first operator to its last?"""
    from ggdq_mcu.importers.source import is_quantized as is_quantized_file

    return is_quantized_file(Path(path))
