"""The operator tflite_compare, in the arithmetic of TFLite."""

from __future__ import annotations

from operators.cases import Cases
from operators.cases._kept import kept_cases

CASES: Cases = kept_cases(__name__)
