"""Inputs are given, not computed."""

from __future__ import annotations

import pytest

from ggdq_mcu.operators.input import Input


def test_input_has_its_shape_and_no_value() -> None:
    assert Input((3, 2, 1)).output_shape() == (3, 2, 1)
    with pytest.raises(ValueError, match="given, not computed"):
        Input((3,)).compute([], {})
