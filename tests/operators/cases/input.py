"""Inputs, which are given and not computed."""

from __future__ import annotations

from operators.cases import Cases

CASES = Cases()
