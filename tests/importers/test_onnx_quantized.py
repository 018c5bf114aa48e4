"""Quantized ONNX networks keep what their training or calibration gave them: QDQ, QOperator, dynamic, Quant nodes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import ModelProto, helper
from onnx.reference import ReferenceEvaluator
from onnx_networks import loaded, model, node, random, samples_for

import ggdq_mcu
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize

FOLDER = Path(__file__).parent / "onnx_quantized"
EXAMPLES = Path(__file__).parents[2] / "examples"
#: Correct of the 500 test samples that each file gets in ONNX Runtime 1.32, and the float network that it was made from.
CORRECT = {"qdq": 488, "qdq_channels": 486, "qoperator": 488, "qoperator_channels": 486}
POINTS = 0.3  # that quantization may cost, of 100


def correct(outputs: np.ndarray, labels: np.ndarray) -> int:
    return int((np.asarray(outputs).argmax(axis=-1) == labels).sum())


@pytest.mark.parametrize("name", CORRECT)
def test_the_ranges_of_the_file_cost_nothing(name: str) -> None:
    test = np.load(EXAMPLES / "digits_test.npz")
    graph = load(FOLDER / f"{name}.onnx")
    (found,) = graph.run({graph.inputs[0]: test["x"].astype(np.float32)}).values()
    assert correct(found, test["y"]) >= CORRECT[name] - POINTS / 100 * len(test["y"])


def test_integers_lose_less_than_the_tolerance() -> None:
    test, samples = np.load(EXAMPLES / "digits_test.npz"), np.load(EXAMPLES / "digits.npz")["x"]
    quantized = ggdq_mcu.quantize(FOLDER / "qoperator_channels.onnx", samples)
    assert correct(quantized.predict(test["x"]), test["y"]) >= CORRECT["qoperator_channels"] - POINTS / 100 * len(
        test["y"]
    )


def test_weights_are_the_integers_of_the_file_times_its_scales() -> None:
    graph = load(FOLDER / "qdq_channels.onnx")
    kernel = graph.by_name["logits"].weights["kernel"] if "logits" in graph.by_name else None
    assert kernel is not None
    scale = np.abs(kernel).max(axis=0) / 127
    np.testing.assert_allclose(kernel / scale, np.rint(kernel / scale), atol=1e-3)  # rounding of float32


def test_the_layer_in_front_takes_the_range_over() -> None:
    graph = optimize(load(FOLDER / "qdq.onnx"))
    assert [one.name for one in graph.nodes if one.operator.name == "clip"] in ([], ["image_QuantizeLinear"])


def within_steps(
    folder: Path, made: ModelProto, shape: tuple[int, ...], step: float, like: ModelProto | None = None
) -> None:
    """The graph is as near to ONNX's reference, of this model or of one ``like`` it, as its rounding is."""
    graph = loaded(folder, made)
    x = random(*shape, seed=3, low=-2, high=2)
    (wanted,) = ReferenceEvaluator(like or made).run(None, {"x": x})
    (found,) = graph.run(samples_for(graph, {"x": x})).values()
    wanted = np.moveaxis(wanted, 1, -1) if wanted.ndim == 4 else wanted
    assert np.abs(np.reshape(found, wanted.shape) - wanted).max() <= step


def test_dynamic_quantization(tmp_path: Path) -> None:
    nodes = [
        node("DynamicQuantizeLinear", "x", "q s z"),
        node("MatMulInteger", "q w z v", "p"),
        node("Cast", "p", "c", to=1),
        node("Mul", "s t", "u"),
        node("Mul", "c u", "y"),
    ]
    weights = np.random.default_rng(0).integers(-90, 90, (7, 4)).astype(np.int8)
    constants = {"w": weights, "v": np.array([1, -2, 3, 0], np.int8), "t": np.float32(0.01)}
    # Half a step of the input, 4 / 255, times the largest column of the weights.
    bound = 0.5 * 4 / 255 * 0.01 * float(np.abs(weights.astype(int)).sum(axis=0).max()) * 1.1
    within_steps(tmp_path, model(nodes, {"x": (1, 7)}, constants), (1, 7), bound)


def test_convolutions_of_integers(tmp_path: Path) -> None:
    nodes = [node("QuantizeLinear", "x s z", "q"), node("ConvInteger", "q w z v", "y", pads=[1, 1, 1, 1])]
    weights = np.random.default_rng(0).integers(0, 255, (4, 3, 3, 3)).astype(np.uint8)
    constants = {"w": weights, "v": np.uint8(128), "s": np.float32(0.02), "z": np.uint8(120)}
    bound = 0.5 * float(np.abs(weights.astype(int) - 128).sum(axis=(1, 2, 3)).max())
    made = model(nodes, {"x": (1, 3, 6, 5)}, constants)
    # ONNX's reference of ConvInteger refuses zero points without axes: the same in real numbers.
    real = [node("Div", "x s", "q"), node("Conv", "q w", "y", pads=[1, 1, 1, 1])]
    constants = {"w": weights.astype(np.float32) - 128, "s": np.float32(0.02)}
    within_steps(tmp_path, made, (1, 3, 6, 5), bound, model(real, {"x": (1, 3, 6, 5)}, constants))


def test_quant_nodes_of_brevitas(tmp_path: Path) -> None:
    quant = {"domain": "qonnx.custom_op.general", "signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    nodes = [
        node("Quant", "w s z four", "v", **quant),
        node("MatMul", "x v", "p"),
        node("Quant", "p t z eight", "y", **{**quant, "narrow": 0}),
    ]
    constants = {"w": random(7, 4), "s": np.float32(0.2), "t": np.float32(0.03)}
    constants |= {"z": np.float32(0), "four": np.float32(4), "eight": np.float32(8)}
    made = model(nodes, {"x": (1, 7)}, constants)
    made.opset_import.append(helper.make_opsetid("qonnx.custom_op.general", 1))
    graph = loaded(tmp_path, made)
    kernel = next(one.weights["kernel"] for one in graph.nodes if "kernel" in one.weights)
    np.testing.assert_allclose(kernel, np.clip(np.rint(constants["w"] / np.float32(0.2)), -7, 7) * 0.2, rtol=1e-6)
    clip = graph.by_name[graph.outputs[0]].operator
    assert (clip.low, clip.high) == pytest.approx((-128 * 0.03, 127 * 0.03))


def test_lists_of_inputs_that_are_too_short(tmp_path: Path) -> None:
    with pytest.raises(GgdqError, match=r"\(QLinearConv\)"):
        loaded(tmp_path, model([node("QLinearConv", "x x", "y")], {"x": (1, 3, 6, 5)}))
