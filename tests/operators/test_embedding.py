"""Embeddings, in floats and in integers."""

from __future__ import annotations

import numpy as np
import pytest
from draws import formats, integers, reals
from hypothesis import given
from hypothesis import strategies as st

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Format
from ggdq_mcu.operators.embedding import Embedding

INDICES = st.sampled_from([Format(8, False, 1.0), Format(8, True, 1.0), Format(16, True, 1.0)])


@given(count=st.sampled_from([1, 3, 200, 300]), source=INDICES, output=formats(), data=st.data())
def test_rows_of_the_table_and_the_nearest_for_indices_beyond(count: int, source, output, data) -> None:
    operator = Embedding(count, 3)
    weights = {"embeddings": reals(data.draw, (count, 3))}
    q = integers(data.draw, source, (2, 5))
    constants = operator.lower(weights, [source], output, [(2, 5)])
    found = operator.compute_integer([q], constants, [source], output)
    rows = [[weights["embeddings"][min(max(int(i), 0), count - 1)] for i in row] for row in q.reshape(-1, 5)]
    wanted = np.array(rows).reshape(2, 2, 5, 3)
    np.testing.assert_array_equal(operator.compute([q.astype(np.float32)], weights), wanted)
    np.testing.assert_array_equal(found, output.quantize(wanted))


def test_what_is_no_index_is_an_error() -> None:
    with pytest.raises(GgdqError, match="something other than indices"):
        Embedding(3, 2).lower({"embeddings": np.ones((3, 2))}, [Format(8, True, 0.5)], Format(8, True, 1.0), [(4,)])
