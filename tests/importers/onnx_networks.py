"""ONNX models made for tests, and how a graph of ours is compared with ONNX's own reference implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper, save_model
from onnx.reference import ReferenceEvaluator

from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize

Shapes = Mapping[str, Sequence[int | str | None]]


def random(*shape: int, seed: int = 0, low: float = -1.5, high: float = 1.5) -> np.ndarray:
    """Constants of a network."""
    return np.random.default_rng(seed + sum(shape)).uniform(low, high, shape).astype(np.float32)


def node(kind: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    """A node; names are separated by blanks, "-" is an input that is left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), **attributes)


def model(
    nodes: Sequence[NodeProto],
    inputs: Shapes,
    constants: Mapping[str, np.ndarray] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 18,
) -> ModelProto:
    """A model of float32."""
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def loaded(folder: Path, made: ModelProto) -> Graph:
    """The graph of a model, by way of a file."""
    save_model(made, folder / "net.onnx")
    return load(folder / "net.onnx")


def samples_for(graph: Graph, x: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Inputs of the model as the graph takes them."""
    first = {name: graph.by_name[name].operator.channels_first for name in graph.inputs}
    return {name: np.moveaxis(x[name], 1, -1) if first[name] else x[name] for name in graph.inputs}


def assert_agrees(folder: Path, made: ModelProto, tolerance: float = 1e-5) -> Graph:
    """The graph, before and after the passes, computes what ONNX's reference does. Gives the graph after the passes."""
    graph = loaded(folder, made)
    shapes = {one.name: [dim.dim_value or 1 for dim in one.type.tensor_type.shape.dim] for one in made.graph.input}
    x = {name: random(*shapes[name], seed=index + 7, low=-3, high=3) for index, name in enumerate(graph.inputs)}
    wanted = ReferenceEvaluator(made).run(None, x)
    optimized = optimize(graph)
    for one in (graph, optimized):
        found = list(one.run(samples_for(one, x)).values())
        assert len(found) == len(wanted)
        for a, b in zip(wanted, found, strict=True):
            scale = tolerance * max(1.0, float(np.abs(a).max()))
            turned = np.moveaxis(a, 1, -1) if a.ndim > 2 else a
            orders = [order for order in (a, turned) if order.shape == b.shape] or [a.reshape(b.shape)]
            assert orders
            assert min(float(np.abs(order - b).max()) for order in orders) <= scale
    return optimized


def moves(graph: Graph) -> int:
    """How many nodes put values into another order."""
    return sum(one.operator.name == "permute" for one in graph.nodes)
