"""The recurrent example that ships: small, as its script says, and as good in integers as in floats."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ggdq_mcu.data import load_data
from ggdq_mcu.describe.evaluation import compare
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.quantize import quantize

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_it_is_small_enough_to_ship() -> None:
    assert (EXAMPLES / "digits_gru.h5").stat().st_size < 60_000


def test_integers_are_as_good_as_floats() -> None:
    graph = optimize(load(EXAMPLES / "digits_gru.h5"))
    quantized = quantize(graph, calibrate(graph, load_data(EXAMPLES / "digits.npz", graph)))
    quality = compare(graph, quantized, load_data(EXAMPLES / "digits_test.npz", graph))
    assert quality.float_accuracy is not None
    assert quality.float_accuracy >= 0.98
    assert quality.accuracy is not None
    assert quality.accuracy >= quality.float_accuracy - 0.01
    assert quality.outputs[0].sqnr_db >= 40
    assert all(layer.sqnr_db >= 38 for layer in quality.layers)


def test_the_script_describes_the_network_that_ships(keras: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(EXAMPLES), *sys.path])
    import digits_gru

    shipped = keras.models.load_model(EXAMPLES / "digits_gru.h5", compile=False)
    described = digits_gru.network()
    assert [layer.name for layer in described.layers] == [layer.name for layer in shipped.layers]
    assert [np.shape(w) for w in described.get_weights()] == [np.shape(w) for w in shipped.get_weights()]
