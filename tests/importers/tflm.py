"""What TensorFlow Lite Micro's interpreter computes of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

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
    for step in range(steps):
        samples = {}
        for place, name in enumerate(network.inputs):
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
