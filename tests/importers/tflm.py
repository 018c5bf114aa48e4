"""The integer reference beside TensorFlow Lite Micro's interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np
from benchmarks.micro import sequence

from ggdq_mcu.graph import QuantizedGraph


def assert_equal(path: Path, network: QuantizedGraph, steps: int = 6, seed: int = 0) -> list[Mapping[str, np.ndarray]]:
    """The integer reference computes what the interpreter does, in a sequence of random inputs; gives these.

    The first holds the smallest integers, the second the largest.
    """
    taken = []
    for number, step in enumerate(islice(sequence(path, network, np.random.default_rng(seed)), steps)):
        for name, (want, got) in step.outputs.items():
            what = f"{name}, step {number}: {network.by_name[name].operator.describe()}"
            np.testing.assert_array_equal(got, want, err_msg=what)
        taken.append(step.samples)
    return taken
