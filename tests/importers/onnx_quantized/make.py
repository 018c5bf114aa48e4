"""Writes the quantized networks that test_onnx_quantized.py reads, from the trained network of examples/digits.h5.

    pip install 'ggdq-mcu[dev]' onnxruntime
    python tests/importers/onnx_quantized/make.py

float.onnx is the network; the others are what onnxruntime.quantization.quantize_static makes of it by the calibration
samples of the example: as QDQ and as QOperator, with scales by tensor and by channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[2] / "examples"


class Samples(CalibrationDataReader):
    """The calibration samples, one by one, channels first."""

    def __init__(self) -> None:
        x = np.load(EXAMPLES / "digits.npz")["x"].astype(np.float32)
        self.rest: Iterator[np.ndarray] = iter(np.moveaxis(x, -1, 1)[:, None])

    def get_next(self) -> dict[str, np.ndarray] | None:
        sample = next(self.rest, None)
        return None if sample is None else {"image": sample}


def folded(model: keras.Model, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (out, in, H, W) and bias of a convolution and the normalization behind it."""
    (kernel,) = model.get_layer(name).get_weights()
    gamma, beta, mean, variance = model.get_layer(f"{name}_bn").get_weights()
    scale = gamma / np.sqrt(variance + model.get_layer(f"{name}_bn").epsilon)
    if kernel.shape[3] == 1 and kernel.shape[2] > 1:  # depthwise
        return (kernel * scale[:, None]).transpose(2, 3, 0, 1), beta - mean * scale
    return (kernel * scale).transpose(3, 2, 0, 1), beta - mean * scale


def network() -> onnx.ModelProto:
    """The example as PyTorch would export it: channels first, normalizations folded."""
    model = keras.models.load_model(EXAMPLES / "digits.h5", compile=False)
    arrays: dict[str, np.ndarray] = {}
    nodes = []

    def conv(name: str, source: str, group: int = 1, stride: int = 1, size: int = 3, relu: bool = True) -> str:
        arrays[f"{name}.weight"], arrays[f"{name}.bias"] = folded(model, name)
        pads = [0] * 4 if size == 1 else [1] * 4 if stride == 1 else [0, 0, 1, 1]
        options = {"group": group, "strides": [stride] * 2, "pads": pads, "kernel_shape": [size] * 2}
        nodes.append(helper.make_node("Conv", [source, f"{name}.weight", f"{name}.bias"], [name], name, **options))
        if relu:
            nodes.append(helper.make_node("Relu", [name], [f"{name}_relu"], f"{name}_relu"))
        return f"{name}_relu" if relu else name

    first = conv("conv_1", "image")
    second = conv("pointwise_1", conv("depthwise_1", first, 16), size=1, relu=False)
    nodes.append(helper.make_node("Add", [first, second], ["add"], "add"))
    nodes.append(helper.make_node("Relu", ["add"], ["add_relu"], "add_relu"))
    last = conv("pointwise_2", conv("depthwise_2", "add_relu", 16, 2), size=1)
    nodes.append(helper.make_node("GlobalAveragePool", [last], ["average"], "average"))
    nodes.append(helper.make_node("Flatten", ["average"], ["flat"], "flat"))
    kernel, bias = model.get_layer("logits").get_weights()
    arrays |= {"logits.weight": kernel.T, "logits.bias": bias}
    nodes.append(helper.make_node("Gemm", ["flat", "logits.weight", "logits.bias"], ["y"], "logits", transB=1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, (1, 1, 8, 8))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 10))],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in arrays.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    """Write the five files."""
    onnx.save_model(network(), HERE / "float.onnx")
    for kind in (QuantFormat.QDQ, QuantFormat.QOperator):
        for by_channel in (False, True):
            quantize_static(
                str(HERE / "float.onnx"),
                str(HERE / f"{kind.name.lower()}{'_channels' if by_channel else ''}.onnx"),
                Samples(),
                quant_format=kind,
                per_channel=by_channel,
                weight_type=QuantType.QInt8,
                activation_type=QuantType.QUInt8,
            )


if __name__ == "__main__":
    main()
