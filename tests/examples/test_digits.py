"""The example that ships: small, from the data it says, trained on none of its test samples, good enough to show."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ggdq_mcu.data import load_data
from ggdq_mcu.importers import load

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def script(keras: ModuleType) -> ModuleType:
    """The training script as a module."""
    spec = importlib.util.spec_from_file_location("digits", EXAMPLES / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_files_are_small_enough_to_ship() -> None:
    assert (EXAMPLES / "digits.h5").stat().st_size < 200_000
    assert sum(path.stat().st_size for path in EXAMPLES.glob("digits*.npz")) < 50_000


def test_network_classifies_samples_it_has_not_seen() -> None:
    graph = load(EXAMPLES / "digits.h5")
    data = load_data(EXAMPLES / "digits_test.npz", graph)
    (name,) = graph.outputs
    classes = np.concatenate([graph.run(batch)[name].argmax(axis=1) for batch in data.batches()])
    assert np.mean(classes == data.labels) >= 0.975


def test_the_script_describes_the_network_that_ships(script: ModuleType, keras: ModuleType) -> None:
    shipped = keras.models.load_model(EXAMPLES / "digits.h5", compile=False)
    described = script.network()
    assert [layer.name for layer in described.layers] == [layer.name for layer in shipped.layers]
    assert [w.shape for w in described.get_weights()] == [w.shape for w in shipped.get_weights()]


def test_data_files_are_parts_of_the_data_set_without_a_common_sample(script: ModuleType) -> None:
    digits = script.load_digits()
    order = np.random.default_rng(script.SEED).permutation(len(digits.images))
    tested, trained = order[: script.TEST_SAMPLES], order[script.TEST_SAMPLES :]
    for name, indices in (("digits_test", tested), ("digits", trained[: script.CALIBRATION_SAMPLES])):
        with np.load(EXAMPLES / f"{name}.npz") as data:
            np.testing.assert_array_equal(data["x"][..., 0] * 16, digits.images[indices])
            np.testing.assert_array_equal(data["y"], digits.target[indices])
