"""Does kept quantization give what TensorFlow Lite Micro's interpreter gives? Outputs that differ, of random inputs.

Needs the package tflite-micro (pre-releases only), of the extra ``dev``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.importers import load_kept

_ARENA = 6_000_000  # bytes


def compared(path: Path, count: int = 200, steps: int = 50) -> tuple[int, int]:
    """How many outputs differ, of how many, for ``count`` random inputs; of networks with state in sequences of ``steps``.

    Raises GgdqError where the file cannot be kept, RuntimeError where the interpreter does not take it.
    """
    _, network = load_kept(path)
    from tflite_micro.python.tflite_micro import runtime

    keeps = any(node.operator.keeps_state for node in network.nodes)
    random, differing, whole = np.random.default_rng(0), 0, 0
    micro: Any = None
    state: dict[str, Any] = {}
    for index in range(count):
        if micro is None or (keeps and index % steps == 0):
            micro, state = runtime.Interpreter.from_file(str(path), arena_size=_ARENA), {}
            places = list(_places(path, micro))
        samples = _random(network, random, index)
        for place, name in zip(places, network.inputs, strict=True):
            details, form = micro.get_input_details(place), network.by_name[name].format
            value = (
                form.dequantize(samples[name]).astype(np.float32) if details["dtype"] == np.float32 else samples[name]
            )
            micro.set_input(value.reshape(details["shape"]), place)
        micro.invoke()
        found = network.run(samples, state=state)
        for place, name in enumerate(network.outputs):
            want, got = micro.get_output(place), found[name]
            if want.dtype == np.float32:
                got = network.by_name[name].format.dequantize(got).astype(np.float32)
            differing += int(np.sum(want.ravel() != got.ravel()))
            whole += want.size
    return differing, whole


def _random(network: QuantizedGraph, random: np.random.Generator, index: int) -> dict[str, Any]:
    """Integers of the inputs' formats; first the smallest ones, then the largest."""
    samples = {}
    for name in network.inputs:
        form = network.by_name[name].format
        shape = (1, *network.shapes[name])
        ends = (form.low, form.high)
        q = np.full(shape, ends[index]) if index < len(ends) else random.integers(form.low, form.high + 1, shape)
        samples[name] = q.astype(form.dtype)
    return samples


def _places(path: Path, micro: Any) -> Iterator[int]:
    """The numbers of the inputs that hold quantized or real values; others are shapes, which are set once."""
    count = tflite.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0).InputsLength()
    for place in range(count):
        details = micro.get_input_details(place)
        if details["dtype"] == np.int32 and not len(details["quantization_parameters"]["scales"]):
            micro.set_input(np.asarray(micro.get_output_details(0)["shape"], np.int32), place)
        else:
            yield place
