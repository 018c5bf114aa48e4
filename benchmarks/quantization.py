"""What is the quantization worth? Writes docs/quantization-benchmark.md.

    python benchmarks/quantization.py

Needs the shared models and samples (``GGDQ_SHARED``, else ``../shared``); with TensorFlow (extra ``dev``) its int8
converter works on the same samples.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ggdq_mcu.data import DataSet, load_data
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.analyze import Measurement, Variant, analyze_layers, switches, without
from ggdq_mcu.quantization.calibration import Calibration, calibrate, calibrate_without_data
from ggdq_mcu.quantization.channel_steps import never_negative
from ggdq_mcu.quantization.distortion import Levels, sqnr_db
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from ggdq_mcu.quantization.schemes import DEFAULT, SCHEMES

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "quantization-benchmark.md"
SAMPLES = 200
BITS = (4, 5, 6, 7, 8)
COLUMNS = ("network", "SQNR of the logits in dB", "accuracy", "same class as float")
FEW_SAMPLES = "\n## Few samples\n"


@dataclass(frozen=True)
class Network:
    """A trained network and its samples, in the shared folder."""

    title: str
    model: str
    data: str


NETWORKS = (
    Network("DS-CNN keyword spotter", "models/kws_ds_cnn.h5", "data/kws_features.npz"),
    Network("ResNet-8", "models/resnet8_cifar10.h5", "data/cifar10.npz"),
)


def main() -> None:
    shared = Path(os.environ.get("GGDQ_SHARED", ROOT.parent / "shared"))
    if not shared.is_dir():
        sys.exit(f"no shared models and samples in {shared}; set GGDQ_SHARED")
    only = argparse.ArgumentParser(description=__doc__)
    only.add_argument("--only", default="", help="print the whole networks whose row has this text, and write nothing")
    text = only.parse_args().only
    if text:
        for network in NETWORKS:
            _, measurement = _measurement(network, shared)
            print(f"## {network.title}\n\n{_table(COLUMNS, _variants(measurement, text))}\n", flush=True)
        return
    parts = [
        "# What the quantization is worth",
        "Made by `python benchmarks/quantization.py`. Calibrated on the first 200 samples, compared on all others.",
    ]
    for network in NETWORKS:
        parts += _network(network, shared)
    # What benchmarks/few_samples.py has written stays.
    kept = PAGE.read_text().partition(FEW_SAMPLES) if PAGE.is_file() else ("", "", "")
    PAGE.write_text("\n\n".join(parts) + "\n" + "".join(kept[1:]))
    print(PAGE.read_text())


def _measurement(network: Network, shared: Path) -> tuple[DataSet, Measurement]:
    """All samples, and the network calibrated on the first of them and compared on the others."""
    graph = optimize(load(shared / network.model))
    data = load_data(shared / network.data, graph)
    return data, Measurement(graph, calibrate(graph, data.first(SAMPLES)), data.slice(SAMPLES, len(data)))


def _network(network: Network, shared: Path) -> Iterator[str]:
    data, measurement = _measurement(network, shared)
    graph, calibration, few = measurement.graph, measurement.calibration, data.first(SAMPLES)
    start = time.perf_counter()
    calibrate(graph, few)
    calibrating = time.perf_counter() - start
    yield f"## {network.title}"
    yield f"Float accuracy on {len(data) - SAMPLES} samples: {measurement.float_accuracy:.2%}."
    yield "### Rectified feature maps, each alone with one step: mean SQNR in dB"
    yield _layers(graph, calibration)
    yield "### The whole network"
    yield _table(COLUMNS, _variants(measurement))
    yield "### Without any sample, on all of them"
    drawn = Measurement(graph, calibrate_without_data(graph), data)
    found = drawn.variant("drawn feature maps, 8 bits", Options())
    yield _table(COLUMNS, [_row(found), ("float", "", _percent(drawn.float_accuracy), "")])
    converter = _converter(shared / network.model, measurement, few.samples[graph.inputs[0]])
    yield "### TensorFlow's int8 converter, same samples"
    yield converter
    yield "### Time"
    start = time.perf_counter()
    for batch in few.batches():
        graph.run(batch)
    running = time.perf_counter() - start
    start = time.perf_counter()
    quantize(graph, calibration)
    quantizing = time.perf_counter() - start
    yield (
        f"In units of the float network's own time for {SAMPLES} samples: calibration {calibrating / running:.1f}, "
        f"quantization {quantizing / running:.1f}."
    )


def _layers(graph: Graph, calibration: Calibration) -> str:
    rows = []
    names = [name for name in SCHEMES if name != DEFAULT]
    layers = [
        layer for layer in analyze_layers(graph, calibration, BITS) if graph.by_name[layer.name].operator.rectified
    ]
    for bits in BITS:
        best = {layer.name: _brute_force(graph, calibration, layer.name, bits) for layer in layers}
        means = [np.mean([layer.sqnr_db[bits][name] for layer in layers]) for name in (*names, DEFAULT)]
        gap = max(best[layer.name] - layer.sqnr_db[bits][DEFAULT] for layer in layers)
        behind = max(max(layer.sqnr_db[bits].values()) - layer.sqnr_db[bits][DEFAULT] for layer in layers)
        rows.append(
            (
                str(bits),
                *(f"{mean:.1f}" for mean in means),
                f"{gap + 0.0:.3f}".replace("-0.000", "0.000"),
                f"{behind:.3f}",
            )
        )
    header = ("bits", *names, f"**{DEFAULT}**", "below brute force, worst layer", "below any scheme, worst layer")
    return _table(header, rows)


def _brute_force(graph: Graph, calibration: Calibration, name: str, bits: int) -> float:
    """SQNR of the best of a thousand steps."""
    unsigned = never_negative(graph.by_name[name], calibration)
    levels, distribution = Levels.of(bits, not unsigned), calibration.histograms[name].distribution()
    largest = SCHEMES["minmax"].step(distribution, bits, not unsigned)
    return float(sqnr_db(distribution, largest * np.geomspace(0.02, 1.05, 1000)[None], levels).max())


def _variants(measurement: Measurement, only: str = "") -> Iterator[tuple[str, ...]]:
    """A row of every network whose name has the text ``only``."""
    bound = "bound: 8-bit feature maps, weights not quantized"
    for name, options in _choices():
        if only in name:
            yield _row(measurement.variant(name, options))
    if only in bound:
        yield _row(measurement.judged(bound, _bound(measurement)))


def _choices() -> Iterator[tuple[str, Options]]:
    yield "**8 bits, all improvements**", Options()
    for switch in switches():
        yield f"without {switch.replace('_', '-')}", without(switch)
    nothing: dict[str, Any] = dict.fromkeys(switches(), False) | {"per_channel": True}
    yield "without all of them, one fraction length per channel", Options(**nothing)
    for name in SCHEMES:
        if name != DEFAULT:
            yield f"steps by `{name}`", Options(scheme=name)
    for weights, maps in ((4, 8), (3, 8), (2, 8), (8, 4), (8, 5), (8, 6), (4, 4), (8, 16), (16, 16)):
        yield f"weights of {weights} bits, feature maps of {maps}", Options(bits=maps, weight_bits=weights)


def _bound(measurement: Measurement) -> np.ndarray:
    """Logits of the float network whose feature maps are rounded to the formats of the quantized one."""
    formats = quantize(measurement.graph, measurement.calibration).by_name
    kept = []

    def rounded(node: Any, value: np.ndarray) -> np.ndarray:
        form = formats[node.name].format
        value = form.dequantize(form.quantize(value)).astype(np.float32)
        if node.name == measurement.logits_name:
            kept.append(value)
        return value

    for batch in measurement.held_out.batches():
        measurement.graph.run(batch, rounded)
    return np.concatenate(kept).reshape(len(measurement.held_out), -1)


def _converter(model: Path, measurement: Measurement, samples: np.ndarray) -> str:
    if importlib.util.find_spec("tensorflow") is None:
        return "TensorFlow is not installed."
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import tensorflow as tf

    keras_model = tf.keras.models.load_model(model, compile=False)
    keras_model.layers[-1].activation = tf.keras.activations.linear
    converter = tf.lite.TFLiteConverter.from_keras_model(keras_model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None].astype(np.float32)] for x in samples)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    held_out = next(iter(measurement.held_out.samples.values())).astype(np.float32)
    logits = np.concatenate([_invoke(interpreter, x) for x in held_out])
    found = measurement.judged("TensorFlow int8", logits)
    return _table(("network", "SQNR of the logits in dB", "accuracy", "same class as float"), [_row(found)])


def _invoke(interpreter: Any, sample: np.ndarray) -> np.ndarray:
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    q = np.clip(np.round(sample[None] / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], q)
    interpreter.invoke()
    scale, zero = result["quantization"]
    return (interpreter.get_tensor(result["index"]).astype(np.float64) - zero) * scale


def _row(variant: Variant) -> tuple[str, ...]:
    return (
        variant.name,
        f"{variant.sqnr_db:.1f}",
        _percent(variant.accuracy),
        _percent(variant.agreement),
    )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.2%}"


def _table(header: Sequence[str], rows: Any) -> str:
    lines = [f"| {' | '.join(header)} |", "|" + "---|" * len(header)]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    main()
