"""Layers in TFLite's arithmetic, from files of every operator that is kept; their definitions are in test_tflite_*.py."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Graph, QuantizedGraph, QuantizedNode
from ggdq_mcu.importers import load_kept
from importers.tflite_quantized import micro_file, quantized_file
from operators.cases import Cases, Layer
from operators.draws import integers


@cache
def networks(seed: int) -> tuple[Graph, QuantizedGraph]:
    """A file of random scales and constants, in real numbers and in integers; of int8 alone where ``seed`` is even."""
    with tempfile.TemporaryDirectory() as folder:
        return load_kept(quantized_file(Path(folder) / "every.tflite", ("int8", "uint8")[seed % 2], seed))


@cache
def micro_networks(seed: int) -> tuple[Graph, QuantizedGraph]:
    """The same with the operators that only TensorFlow Lite Micro computes so."""
    with tempfile.TemporaryDirectory() as folder:
        return load_kept(micro_file(Path(folder) / "micro.tflite", "int8", seed))


@st.composite
def kept_layers(draw: Callable, name: str) -> Layer:
    """One of the operator's layers in one of the files."""
    seed = draw(st.integers(0, 5))
    files = (make(one) for make, one in ((networks, seed), (networks, 0), (micro_networks, seed)))
    graph, network, own = next(found for one in files if (found := (*one, _named(one[1], name)))[2])
    node = draw(st.sampled_from(own))
    shapes, forms = network.input_shapes(node), network.input_formats(node)
    samples = tuple(integers(draw, form, shape) for form, shape in zip(forms, shapes, strict=True))
    weights = graph.by_name[node.name].weights
    return Layer(node.operator, tuple(shapes), tuple(forms), node.format, node.constants, samples, weights)


def _named(network: QuantizedGraph, name: str) -> list[QuantizedNode]:
    return [node for node in network.nodes if node.inputs and node.operator.name == name]


def check_near_float(layer: Layer, found: np.ndarray) -> None:
    """Within a few steps of the real numbers: a product of an operand that was rounded already is off by some."""
    assert found.dtype == layer.output.dtype
    inputs = [form.dequantize(q) for form, q in zip(layer.sources, layer.samples, strict=True)]
    form = layer.output
    ends = form.dequantize(np.array([form.low, form.high]))
    wanted = np.clip(layer.operator.compute(inputs, layer.weights), *ends)
    assert np.abs(form.dequantize(found) - wanted).max() <= 3 * form.step, layer


def kept_cases(module: str) -> Cases:
    """The cases of the operator whose name is the last part of a module's name."""
    return Cases(layers=kept_layers(module.rsplit(".", 1)[-1]), check=check_near_float)
