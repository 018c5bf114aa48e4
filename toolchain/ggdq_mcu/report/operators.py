"""Which layers can be used, and with which of their options? The operators' own files say; this makes a page of it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ggdq_mcu.importers.keras_known import keras_layers, keras_operations
from ggdq_mcu.importers.tflite_refused import REFUSED
from ggdq_mcu.operators import (
    onnx_operators,
    operator_classes,
    tflite_kept,
    tflite_operators,
)
from ggdq_mcu.sources.keras_activation import BY_NAME

COMMAND = "python -m ggdq_mcu.report.operators docs/operators.md"


def page() -> str:
    """The page in Markdown: where layers and operators come from, activations, and what each operator computes."""
    parts = [
        "# What can be built",
        f"Made by `{COMMAND}` from the operators' own files (`toolchain/ggdq_mcu/operators`); do not edit. "
        "Anything else is refused when the model is read, in one line that names the layer, the reason and the nearest "
        "supported form.",
        "## Keras layers",
        _origins(keras_layers(), "layer"),
        "Nested models (Sequential and functional) and shared layers are written out, call by call.",
        "## Operations of `keras.ops` in functional models",
        _origins(keras_operations(), "operation"),
        "## Operators of TFLite files",
        _origins(tflite_operators(), "operator"),
        "Fused activations NONE, RELU, RELU6, RELU_N1_TO_1 and TANH. What is quantized in the file is multiplied out, and "
        "quantized again. Arithmetic on shapes is done when the file is read; the batch has to be 1 or free.",
        _refused(),
        "## Operators of quantized TFLite files that keep their arithmetic (`--keep-quantization`)",
        _origins(tflite_kept(), "operator"),
        "QUANTIZE and DEQUANTIZE at the network's ends, too. All tensors have 8 bits and one scale.",
        "## Activations",
        ", ".join(f"`{name}`" for name in sorted(BY_NAME)) + ": by name, inline or as a layer.",
        "## Operators of ONNX",
        _origins(onnx_operators(), "operator"),
        "Of opset 7 and newer, the batch first and of size 1 (or of any size, which is taken as 1), everything else of fixed "
        "size. What depends on constants alone (shapes, and what is made of them) is computed when the file is read. Images "
        "and sequences are stored channels last; values move at run time only where a node asks for another order than the "
        "one that is stored, which flattening before `Gemm` and `MatMul` does not.",
        "## What each operator computes",
        _operators(),
    ]
    return "\n\n".join(parts) + "\n"


def _origins(origins: Mapping[str, Callable[..., Any]], kind: str) -> str:
    lines = [f"| {kind} | supported |", "|---|---|"]
    by_text: dict[str, list[str]] = {}
    for name in sorted(origins):
        by_text.setdefault(_first_paragraph(origins[name]), []).append(f"`{name}`")
    lines += [f"| {', '.join(names)} | {text} |" for text, names in by_text.items()]
    return "\n".join(lines)


def _refused() -> str:
    """Operators of TFLite files that are refused for good."""
    rows = [f"| `{kind}` | {what} | {fix} |" for kind, (what, fix) in sorted(REFUSED.items())]
    return "\n".join(["| refused | why | what to do |", "|---|---|---|", *rows])


def _operators() -> str:
    """Every operator's definition, as its class states it."""
    texts = []
    for name, operator in sorted(operator_classes().items()):
        fused = " A ReLU, ReLU6 or clip after it is fused." if operator.fuses_clip else ""
        texts.append(f"### {name}\n\n```text\n{inspect.getdoc(operator)}\n```{fused}")
    return "\n\n".join(texts)


def _first_paragraph(documented: Any) -> str:
    text = inspect.getdoc(documented) or ""
    return " ".join(text.split("\n\n", maxsplit=1)[0].split())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
