"""Does kept quantization give what TensorFlow Lite Micro's interpreter gives? Outputs that differ, of random inputs.

Needs the package tflite-micro (pre-releases only), of the extra ``dev``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tflite

from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.importers import load_kept

_ARENA = 6_000_000  # bytes


class Step(NamedTuple):
    """One inference: its integer inputs (1, ...), and by output what is wanted and what was computed."""

    samples: Mapping[str, np.ndarray]
    outputs: Mapping[str, tuple[np.ndarray, np.ndarray]]


def interpreter(path: Path) -> Any:
    """The interpreter of a file; RuntimeError where an operator is none of TensorFlow Lite Micro's."""
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_file(str(path), arena_size=_ARENA)


def sequence(path: Path, network: QuantizedGraph, random: np.random.Generator, first: int = 0) -> Iterator[Step]:
    """The interpreter and the integer reference side by side from a reset on, without an end.

    Inputs are random but for those of the numbers 0 and 1, counted from ``first``: the smallest integers, the largest.
    """
    micro, state = interpreter(path), dict[str, Any]()
    places = list(_places(path, micro))
    for number in itertools.count(first):
        samples = _random(network, random, number)
        for place, name in zip(places, network.inputs, strict=True):
            details, form = micro.get_input_details(place), network.by_name[name].format
            value = samples[name]
            if details["dtype"] == np.float32:
                value = form.dequantize(value).astype(np.float32)
            micro.set_input(value.reshape(details["shape"]), place)
        micro.invoke()
        found = network.run(samples, state=state)
        outputs = {}
        for place, name in enumerate(network.outputs):
            want, got = micro.get_output(place), found[name]
            if want.dtype == np.float32:
                got = network.by_name[name].format.dequantize(got).astype(np.float32)
            outputs[name] = want.ravel(), got.ravel()
        yield Step(samples, outputs)


def compared(path: Path, count: int = 200, steps: int = 50) -> tuple[int, int]:
    """How many outputs differ, of how many, for ``count`` random inputs; of networks with state in sequences of ``steps``.

    Raises GgdqError where the file cannot be kept, RuntimeError where the interpreter does not take it.
    """
    _, network = load_kept(path)
    keeps = any(node.operator.keeps_state for node in network.nodes)
    length = steps if keeps else count
    random, differing, whole = np.random.default_rng(0), 0, 0
    for first in range(0, count, length):
        for step in itertools.islice(sequence(path, network, random, first), min(length, count - first)):
            for want, got in step.outputs.values():
                differing += int(np.sum(want != got))
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
