"""No network takes more instructions than it did: 2 % above the kept figures fail."""

from __future__ import annotations

import json

import pytest
from benchmarks import instructions
from benchmarks.networks import network

from ggdq_mcu.boards import CORES


@pytest.mark.parametrize("name", ["ds_cnn", "resnet8", "autoencoder"])
def test_instructions_do_not_grow(name: str) -> None:
    graph = network(name)
    figures = {name: {core: instructions.count(graph, CORES[core]).total for core in ("cortex-m4", "cortex-m0plus")}}
    assert instructions.worse(figures) == []


def test_a_figure_that_grew_is_told() -> None:
    baseline = json.loads(instructions.BASELINE.read_text())
    grown = {"ds_cnn": {"cortex-m4": round(baseline["ds_cnn"]["cortex-m4"] * 1.03)}}
    assert len(instructions.worse(grown)) == 1
