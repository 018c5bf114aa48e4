"""The operator tflite_scale, which is part of networks that keep a state of TFLite."""

from __future__ import annotations

from operators.cases import Cases

CASES = Cases(elsewhere="network/test_kept_states.py")
