"""The operator tflite_add, in the arithmetic of TFLite."""

from __future__ import annotations

from operators.cases._kept import kept_cases

CASES = kept_cases(__name__)
