"""Whatever the network, the C computes what the integer reference computes: every element of every layer."""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from effort import drawn
from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from network.native_library import run_native
from network.random_networks import networks

OPTIONS = st.builds(
    Options,
    scheme=st.sampled_from(["minmax", "mse", "ggd"]),
    bits=st.sampled_from([8, 8, 8, 16, 4]),
    weight_bits=st.sampled_from([8, 8, 4, 2]),
    per_channel=st.booleans(),
    channel_steps=st.booleans(),
    fit_range=st.booleans(),
    adaptive_rounding=st.booleans(),
    compensation=st.booleans(),
    headroom=st.booleans(),
    narrowing=st.booleans(),
    wide_logits=st.booleans(),
)


def extreme_samples(graph: QuantizedGraph, seed: int) -> dict[str, np.ndarray]:
    """Random integers of the input formats, and inputs that are all lowest, all highest, and both by turns."""
    generator = np.random.default_rng(seed)
    samples = {}
    for name in graph.inputs:
        f, shape = graph.by_name[name].format, graph.shapes[name]
        rows = [generator.integers(f.low, f.high + 1, shape), np.full(shape, f.low), np.full(shape, f.high)]
        rows.append(generator.choice([f.low, f.high], shape))
        samples[name] = np.stack(rows).astype(f.dtype)
    return samples


def check(graph: Graph, samples: np.ndarray, options: Options, flags: tuple[str, ...] = ("-O1",)) -> None:
    """Quantize, run the reference and the C on samples and extremes, and compare every layer."""
    quantized = quantize(graph, calibrate(graph, DataSet({"input": samples})), options)
    integers = quantized.quantize_inputs({"input": samples[:2]})["input"]
    inputs = {"input": np.concatenate([integers, extreme_samples(quantized, 0)["input"]])}
    expected: dict[str, np.ndarray] = {}

    def keep(node: object, value: np.ndarray) -> np.ndarray:
        expected[node.name] = value  # type: ignore[attr-defined]
        return value

    quantized.run(inputs, keep)
    outputs, layers = run_native(quantized, inputs, flags=flags)
    for i, (output, layer) in enumerate(zip(outputs, layers, strict=True)):
        for name, value in {**layer, **output}.items():
            np.testing.assert_array_equal(value, expected[name][i], err_msg=f"{name} of sample {i}")


COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@settings(max_examples=drawn(60), **COMMON)
@given(networks(), OPTIONS)
def test_c_equals_the_reference(network: tuple[Graph, np.ndarray], options: Options) -> None:
    check(*network, options)


@settings(max_examples=drawn(8), **COMMON)
@given(networks(), OPTIONS)
def test_c_does_nothing_undefined(network: tuple[Graph, np.ndarray], options: Options) -> None:
    check(*network, options, flags=("-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all"))


@pytest.mark.nightly
@settings(max_examples=int(os.environ.get("GGDQ_EXAMPLES", "50000")), **COMMON)
@given(networks(), OPTIONS)
def test_c_equals_the_reference_on_very_many_networks(network: tuple[Graph, np.ndarray], options: Options) -> None:
    check(*network, options)
