"""The page of operators says what the operators' files say."""

from __future__ import annotations

from pathlib import Path

from ggdq_mcu.importers.keras_known import keras_layers, keras_operations
from ggdq_mcu.operators import onnx_operators, tflite_kept, tflite_operators
from ggdq_mcu.report.operators import COMMAND, page

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operators.md"


def test_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"run {COMMAND}"


def test_every_origin_says_what_it_supports() -> None:
    origins = {**keras_layers(), **keras_operations(), **tflite_operators(), **tflite_kept(), **onnx_operators()}
    for name, convert in origins.items():
        assert (convert.__doc__ or "").strip(), name
