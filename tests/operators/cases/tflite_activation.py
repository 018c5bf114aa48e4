"""The operator tflite_activation, whose tables are compared entry by entry."""

from __future__ import annotations

from operators.cases import Cases

CASES = Cases(elsewhere="operators/test_tflite_activation.py")
