"""The figures of the README's comparison are those that the benchmark keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from benchmarks import instructions

README = Path(__file__).resolve().parents[2] / "README.md"
ROWS = {"ds_cnn": "DS-CNN", "resnet8": "ResNet-8", "mobilenet": "MobileNetV1", "autoencoder": "autoencoder"}


@pytest.mark.parametrize("name", ROWS)
def test_readme_tells_the_kept_instruction_counts(name: str) -> None:
    baseline = json.loads(instructions.BASELINE.read_text())
    millions = baseline[name]["cortex-m4"] / 1e6
    (row,) = [line for line in README.read_text().splitlines() if line.startswith("|") and ROWS[name] in line]
    ours, cmsis = (cell.strip() for cell in row.split("|")[2:4])
    assert ours == (f"{millions:.3f} M" if millions < 1 else f"{millions:.2f} M")
    assert cmsis == f"{instructions.CMSIS[name]['cortex-m4']} M"
