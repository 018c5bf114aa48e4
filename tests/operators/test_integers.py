"""Every operator's integers are what its definition says, for formats, weights and inputs of every kind."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ggdq_mcu.graph.operator import Operator
from ggdq_mcu.operators import operator_classes
from operators.cases import examples, tables, with_layers

COUNT = int(os.environ.get("GGDQ_EXAMPLES", "40"))


@pytest.mark.parametrize("name", with_layers())
def test_integers_are_the_definition(name: str) -> None:
    check = tables()[name].check
    assert check is not None
    for layer in examples(name, COUNT):
        found = layer.computed()
        shapes = [q.shape[1:] for q in layer.samples]
        assert found.shape == (len(layer.samples[0]), *layer.operator.output_shape(*shapes))
        assert np.all((found >= layer.output.low) & (found <= layer.output.high))
        check(layer, found)


def test_every_operator_has_cases() -> None:
    classes = {kind.__module__.rsplit(".", 1)[-1]: kind for kind in operator_classes().values()}
    assert tables().keys() == classes.keys()
    integer = {
        name
        for name, kind in classes.items()
        if kind.compute_integer is not Operator.compute_integer or kind.advance is not Operator.advance
    }
    elsewhere = {name: cases.elsewhere for name, cases in tables().items() if cases.elsewhere}
    assert set(with_layers()) | set(elsewhere) == integer
    assert all((Path(__file__).parents[1] / path).is_file() for path in elsewhere.values())
