"""What TensorFlow Lite Micro's interpreter computes of a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tflite

from ggdq_mcu.graph import QuantizedGraph


def interpreter(path: Path) -> Any:
    """The interpreter of a file; RuntimeError where an operator is none of TensorFlow Lite Micro's."""
    from tflite_micro.python.tflite_micro import runtime

    return runtime.Interpreter.from_file(str(path), arena_size=3_000_000)


def assert_equal(path: Path, network: QuantizedGraph, steps: int = 6, seed: int = 0) -> list[dict[str, np.ndarray]]:
    """The integer reference computes what the interpreter does, in a sequence of random inputs; gives these.

    The first holds the smallest integers, the second the largest.
    """
    micro, random = interpreter(path), np.random.default_rng(seed)
    state: dict[str, Any] = {}
    taken = []
    places = list(_places(path, micro))
    for step in range(steps):
        samples = {}
        for place, name in zip(places, network.inputs, strict=True):
            form = network.by_name[name].format
            q = random.integers(form.low, form.high + 1, (1, *network.shapes[name])).astype(form.dtype)
            q = np.full_like(q, (form.low, form.high)[step]) if step < 2 else q
            samples[name] = q
            details = micro.get_input_details(place)
            value = form.dequantize(q).astype(np.float32) if details["dtype"] == np.float32 else q
            micro.set_input(value.reshape(details["shape"]), place)
        micro.invoke()
        found = network.run(samples, state=state)
        for place, name in enumerate(network.outputs):
            what = f"{name}, step {step}: {network.by_name[name].operator.describe()}"
            want, got = micro.get_output(place), found[name]
            if want.dtype == np.float32:
                got = network.by_name[name].format.dequantize(got).astype(np.float32)
            np.testing.assert_array_equal(got.ravel(), want.ravel(), err_msg=what)
        taken.append(samples)
    return taken


def _places(path: Path, micro: Any) -> Iterator[int]:
    """The numbers of the inputs that hold quantized or real values; others are shapes, which are set once."""
    count = tflite.Model.GetRootAs(path.read_bytes(), 0).Subgraphs(0).InputsLength()
    for place in range(count):
        details = micro.get_input_details(place)
        if details["dtype"] == np.int32 and not len(details["quantization_parameters"]["scales"]):
            micro.set_input(np.asarray(micro.get_output_details(0)["shape"], np.int32), place)
        else:
            yield place
