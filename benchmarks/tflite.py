"""Is a quantized TFLite network worth keeping? Prints the logits' SQNR of its own arithmetic and of our quantization.

    python -m benchmarks.tflite

TensorFlow's converter makes each network's file in float, and in int8 calibrated on 200 samples; the kept network's output
is compared with that of TensorFlow's reference interpreter. Needs the shared models and samples (``GGDQ_SHARED``, else
``../shared``) and the extra ``dev``.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.quantization import NETWORKS, ROOT, SAMPLES

from ggdq_mcu.data import load_data
from ggdq_mcu.describe.evaluation import compare
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.importers import load, load_kept
from ggdq_mcu.passes import optimize
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.quantize import quantize


def main() -> None:
    shared = Path(os.environ.get("GGDQ_SHARED", ROOT.parent / "shared"))
    if not shared.is_dir():
        sys.exit(f"no shared models and samples in {shared}; set GGDQ_SHARED")
    print("| network | arithmetic | SQNR of the logits | accuracy | float |\n|---|---|---|---|---|")
    for one in NETWORKS:
        with tempfile.TemporaryDirectory(prefix="ggdq-benchmark-") as folder:
            plain, whole = _converted(shared / one.model, shared / one.data, Path(folder))
            for line in _lines(plain, whole, shared / one.data):
                print(f"| {one.title} | {line} |", flush=True)


def _converted(model: Path, data: Path, folder: Path) -> tuple[Path, Path]:
    """The network's files, float and int8."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    import tensorflow as tf

    network, x = keras.models.load_model(model, compile=False), np.load(data)["x"][:SAMPLES].astype(np.float32)
    paths = folder / "float.tflite", folder / "int8.tflite"
    for path in paths:
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        if path.stem == "int8":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([sample[None]] for sample in x)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        with contextlib.redirect_stdout(io.StringIO()):
            path.write_bytes(converter.convert())
    return paths


def _lines(plain: Path, whole: Path, data: Path) -> Iterator[str]:
    float_ = optimize(load(plain))
    samples = load_data(data, float_)
    first, rest = samples.first(SAMPLES), samples.slice(SAMPLES, len(samples))

    def line(title: str, network: QuantizedGraph, graph: Graph) -> str:
        found = compare(graph, network, rest)
        return f"{title} | {found.outputs[0].sqnr_db:.2f} dB | {found.accuracy:.2%} | {found.float_accuracy:.2%}"

    _, kept = load_kept(whole)
    inputs = kept.quantize_inputs(dict(zip(kept.inputs, rest.samples.values(), strict=True)))
    different = int(np.sum(kept.run(inputs)[kept.outputs[0]] != _interpreted(whole, inputs[kept.inputs[0]])))
    yield line(f"int8 file, kept; {different} outputs differ from TensorFlow's", *_aligned(kept, load(plain)))
    yield line("int8 file, quantized again", quantize(again := optimize(load(whole)), calibrate(again, first)), float_)
    yield line("float file, quantized", quantize(float_, calibrate(float_, first)), float_)


def _aligned(network: QuantizedGraph, graph: Graph) -> tuple[QuantizedGraph, Graph]:
    """Both, where the converter gave the files the same layers."""
    assert [node.name for node in network.nodes] == [node.name for node in graph.nodes]
    return network, graph


def _interpreted(path: Path, samples: Any) -> Any:
    """What TensorFlow's reference interpreter gives."""
    import tensorflow as tf

    interpreter = tf.lite.Interpreter(
        str(path), experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    outputs = []
    for sample in samples:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], sample[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(outputs)


if __name__ == "__main__":
    main()
