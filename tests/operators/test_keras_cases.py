"""Every layer and operation that is read from Keras computes what Keras computes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from importers.keras_networks import check, randomize
from operators.cases import KerasCase, tables

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
CASES = {f"{name}: {case.name}": case for name, cases in tables().items() for case in cases.keras}


def model_of(keras: ModuleType, case: KerasCase) -> Any:
    """The model of a case, with random weights."""
    keras.utils.clear_session()
    inputs = [keras.Input(shape) for shape in case.shapes]
    y = case.make(keras, *inputs)
    if case.followed:
        y = keras.layers.ReLU()(keras.layers.BatchNormalization()(y))
    model = keras.Model(inputs, y)
    randomize(model, 3)
    return model


@pytest.mark.parametrize("title", CASES)
def test_agrees_with_keras(keras: ModuleType, tmp_path: Path, title: str) -> None:
    check(keras, tmp_path, model_of(keras, CASES[title]))
