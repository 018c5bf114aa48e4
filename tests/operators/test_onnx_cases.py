"""Every operator that is read from ONNX computes what ONNX's reference implementation computes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ggdq_mcu.operators import onnx_operators
from importers.onnx_networks import assert_agrees, model, moves
from operators.cases import tables

OF_OTHERS = {"Quant"}  # of QONNX, which ONNX's reference does not know: importers/test_onnx_quantized.py
CASES = {f"{name}: {case.name}": case for name, cases in tables().items() for case in cases.onnx}


@pytest.mark.parametrize("title", CASES)
def test_agrees_with_the_reference(title: str, tmp_path: Path) -> None:
    case = CASES[title]
    graph = assert_agrees(tmp_path, model(case.nodes, {"x": case.shape}, case.constants, opset=case.opset))
    assert case.moves or moves(graph) == 0


def test_every_operator_of_onnx_has_a_case() -> None:
    covered = {node.op_type for case in CASES.values() for node in case.nodes}
    assert covered >= onnx_operators().keys() - OF_OTHERS
