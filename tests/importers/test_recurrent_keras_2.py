"""Recurrent layers in files of Keras 2: its options, its names and order of weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ggdq_mcu.importers import load
from ggdq_mcu.operators.gru import GRU
from ggdq_mcu.operators.lstm import LSTM
from ggdq_mcu.operators.simple_rnn import SimpleRNN

COMMON: dict[str, Any] = {"use_bias": True, "unroll": False, "time_major": False, "implementation": 2, "dropout": 0.1}
LAYERS: list[dict[str, Any]] = [
    {
        "class_name": "LSTM",
        "config": {
            **COMMON,
            "name": "lstm",
            "batch_input_shape": [None, 7, 3],
            "units": 4,
            "activation": "tanh",
            "recurrent_activation": "hard_sigmoid",
            "return_sequences": True,
        },
    },
    {
        "class_name": "GRU",
        "config": {**COMMON, "name": "gru", "units": 2, "activation": "relu", "return_sequences": True},
    },
    {
        "class_name": "Bidirectional",
        "config": {
            "name": "both",
            "merge_mode": "ave",
            "layer": {
                "class_name": "SimpleRNN",
                "config": {**COMMON, "name": "simple", "units": 5, "activation": "tanh"},
            },
        },
    },
]
SHAPES = {
    "lstm": {"lstm/lstm_cell": [(3, 16), (4, 16), (16,)]},
    "gru": {"gru": [(4, 6), (2, 6), (6,)]},  # before 2.3 there was no cell in the names
    "both": {
        "both/forward_simple/simple_rnn_cell": [(2, 5), (5, 5), (5,)],
        "both/backward_simple/simple_rnn_cell": [(2, 5), (5, 5), (5,)],
    },
}
KINDS = ("kernel", "recurrent_kernel", "bias")


@pytest.mark.parametrize("nested", [False, True])
def test_weights_and_options(tmp_path: Path, nested: bool) -> None:
    generator, stored = np.random.default_rng(0), {}
    model: dict[str, Any] = {"class_name": "Sequential", "config": {"name": "inner", "layers": LAYERS}}
    if nested:
        source = {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [None, 7, 3]}}
        model = {"class_name": "Sequential", "config": {"name": "outer", "layers": [source, model]}}
        model["config"]["layers"][1]["name"] = "inner"
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps(model)
        file.attrs["keras_version"] = b"2.15.0"
        weights = file.create_group("model_weights")
        inner = weights.create_group("inner") if nested else None
        names: list[bytes] = []
        for layer, groups in SHAPES.items():
            group = weights.create_group(layer) if inner is None else inner
            names = [] if inner is None else names
            for path, shapes in groups.items():
                for kind, shape in zip(KINDS, shapes, strict=True):
                    stored[path, kind] = generator.normal(0, 1, shape).astype(np.float32)
                    group[f"{path}/{kind}:0"] = stored[path, kind]
                    names.append(f"{path}/{kind}:0".encode())
            group.attrs["weight_names"] = names
    graph = load(tmp_path / "old.h5")
    nodes = [node for node in graph.nodes if "kernel" in node.weights]
    assert [type(node.operator) for node in nodes] == [LSTM, GRU, SimpleRNN, SimpleRNN]
    lstm, gru, forward, backward = (node.operator for node in nodes)
    assert (lstm.recurrent_activation, lstm.recurrent_parameter) == ("hard_sigmoid", 0.2)
    assert (gru.activation, gru.reset_after) == ("relu", False)
    assert (forward.go_backwards, backward.go_backwards, backward.input_order) == (False, True, True)
    for node, path in zip(nodes, [path for groups in SHAPES.values() for path in groups], strict=True):
        for name, kind in zip(("kernel", "recurrent", "bias"), KINDS, strict=True):
            np.testing.assert_array_equal(node.weights[name], stored[path, kind])
