"""A small transformer from ONNX: patches, positions, attention of two heads, a dense block; exact on host and emulator."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx.reference import ReferenceEvaluator
from onnx_networks import loaded, model, node

from ggdq_mcu import quantize
from ggdq_mcu.pipeline.verify import verify

PATCHES, SIZE, HEADS = 6, 8, 2
TRANSFORMER = [
    node("MatMul", "x embed", "embedded"),
    node("Add", "embedded positions", "tokens"),
    node("LayerNormalization", "tokens one zero", "normal", axis=-1),
    *(
        made
        for name, perm in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3]))
        for made in (
            node("MatMul", f"normal w{name}", f"{name}0"),
            node("Reshape", f"{name}0 apart", f"{name}1"),
            node("Transpose", f"{name}1", name, perm=perm),
        )
    ),
    node("MatMul", "q k", "scores"),
    node("Div", "scores root", "scaled"),
    node("Softmax", "scaled", "weights", axis=-1),
    node("MatMul", "weights v", "mixed"),
    node("Transpose", "mixed", "side", perm=[0, 2, 1, 3]),
    node("Reshape", "side whole", "joined"),
    node("MatMul", "joined wo", "projected"),
    node("Add", "projected tokens", "attended"),
    node("LayerNormalization", "attended one zero", "again", axis=-1),
    node("MatMul", "again wide", "hidden"),
    node("Gelu", "hidden", "bent"),
    node("MatMul", "bent narrow", "back"),
    node("Add", "back attended", "block"),
    node("ReduceMean", "block axes", "pooled", keepdims=0),
    node("Gemm", "pooled classes", "y"),
]


def weights() -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    shapes = {
        "embed": (5, SIZE),
        "positions": (PATCHES, SIZE),
        **{name: (SIZE, SIZE) for name in ("wq", "wk", "wv", "wo")},
        "wide": (SIZE, 2 * SIZE),
        "narrow": (2 * SIZE, SIZE),
        "classes": (SIZE, 3),
    }
    made = {name: generator.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    return made | {
        "one": np.ones(SIZE, np.float32),
        "zero": np.zeros(SIZE, np.float32),
        "root": np.float32(np.sqrt(SIZE // HEADS)),
        "apart": np.array([1, PATCHES, HEADS, SIZE // HEADS]),
        "whole": np.array([1, PATCHES, SIZE]),
        "axes": np.array([1]),
    }


def test_a_small_transformer_is_equal_in_floats_and_exact_in_integers(tmp_path: Path) -> None:
    made = model(TRANSFORMER, {"x": (1, PATCHES, 5)}, weights(), opset=20)
    graph = loaded(tmp_path, made)
    x = np.random.default_rng(1).normal(size=(40, PATCHES, 5)).astype(np.float32)
    found = graph.run({"x": x[:1]})[graph.outputs[0]]
    (expected,) = ReferenceEvaluator(made).run(None, {"x": x[:1]})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)  # sums in another order

    network = quantize(tmp_path / "net.onnx", x)
    assert network.evaluate(x).agreement > 0.9  # of random classes; 8 bits
    folder = network.build("nucleo_f446re", tmp_path / "project").folder
    compared = verify(folder, ["host", "emulator"], count=2)
    assert set(compared.backends) == {"host", "emulator"}
    assert compared.equal
