"""The float executor on an imported graph computes what Keras computes, layer by layer."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_networks import assert_layers_agree, network, saved_and_loaded

from effort import drawn
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize


@pytest.mark.parametrize("file", ["kws_ds_cnn.h5", "kws_ds_cnn.keras", "resnet8_cifar10.h5"])
def test_published_network_agrees_on_every_layer(keras: ModuleType, shared: Path, file: str) -> None:
    model = keras.models.load_model(shared / "models" / file, compile=False)
    data = "kws_features" if "kws" in file else "cifar10"
    x = np.load(shared / "data" / f"{data}.npz")["x"][:8].astype(np.float32)
    assert_layers_agree(keras, model, load(shared / "models" / file), x)


@settings(max_examples=drawn(30), deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_network_agrees_on_every_layer_in_every_format(
    keras: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    model = network(data.draw, keras)
    graphs = saved_and_loaded(model, tmp_path_factory.mktemp("model"))
    assert graphs[0] == graphs[1] == graphs[2]
    assert_layers_agree(keras, model, graphs[0])
    assert_outputs_stay(graphs[0])


def assert_outputs_stay(graph) -> None:
    """The passes keep the network's outputs, in their order."""
    optimized = optimize(graph)
    generator = np.random.default_rng(3)
    x = {name: generator.normal(0, 1, (2, *graph.shapes[name])) for name in graph.inputs}
    before, after = graph.run(x), optimized.run(x)
    assert len(before) == len(after)
    for old, new in zip(graph.outputs, optimized.outputs, strict=True):
        scale = max(np.abs(before[old]).max(), 1e-6)
        assert np.abs(before[old] - after[new]).max() <= 1e-5 * scale
