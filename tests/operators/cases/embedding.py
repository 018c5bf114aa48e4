"""Rows of a table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import strategies as st

from ggdq_mcu.graph import Format
from ggdq_mcu.operators.embedding import Embedding
from operators.cases import Cases, Layer
from operators.cases._layers import lowered


@st.composite
def layers(draw: Callable) -> Layer:
    """Indices within the table and beyond it."""
    operator = Embedding(draw(st.sampled_from([1, 5, 200, 256, 300])), draw(st.integers(1, 5)))
    source = draw(st.sampled_from([Format(8, False, 1.0), Format(8, True, 1.0), Format(16, True, 1.0)]))
    table = np.random.default_rng(draw(st.integers(0, 9))).normal(0, 1, (operator.count, operator.size))
    return lowered(draw, operator, [(draw(st.integers(1, 6)),)], {"embeddings": table}, [source])


def check(layer: Layer, found: np.ndarray) -> None:
    """Each index gives its row, quantized; those beyond the table give its first or last row."""
    (q,), table = layer.samples, layer.weights["embeddings"]
    wanted = np.array([[table[min(max(int(i), 0), len(table) - 1)] for i in sample] for sample in q])
    np.testing.assert_array_equal(found, layer.output.quantize(wanted))
    assert found.dtype == layer.output.dtype


CASES = Cases(layers=layers(), check=check)
