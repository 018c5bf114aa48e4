"""What is the quantization worth with few samples? Ours beside TensorFlow's int8 converter, draw by draw.

    python benchmarks/few_samples.py [--networks kws,har] [--counts 5,20] [--draws 5] [--without headroom,...]

Each draw shuffles the pool of calibration samples; smaller counts are its first samples, so that subsets are nested. Figures
are the SQNR of the logits in dB on samples that neither has seen. What the converter gives is kept in the cache folder.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sample_networks import CACHE, CASES, Case, keras_library

from ggdq_mcu.data import DataSet
from ggdq_mcu.graph import Graph
from ggdq_mcu.importers import load
from ggdq_mcu.passes import optimize
from ggdq_mcu.pipeline.analyze import Measurement, switches
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from quantization import FEW_SAMPLES, PAGE

Array = NDArray[Any]
HEADER = """| network | samples | ours worst | ours median | TensorFlow worst | TensorFlow median | draws | s |
|---|---|---|---|---|---|---|---|"""
INTRODUCTION = """
Made by `python benchmarks/few_samples.py --page`: SQNR of the logits in dB at 8 bits, on samples that calibration has not
seen, over draws of the calibration samples; TensorFlow's int8 converter had the same ones. Subsets are nested. The networks
digits_autoencoder, cancer and photographs were kept aside while rules were chosen; kws lies on an 8-bit grid, kws_dithered
does not. On cancer and har_plain a single sample of 300 and 200, far beyond those of calibration, makes up 80 to 94 % of the
noise. Draws are ours; s are seconds of ours, on a shared machine.
"""
COUNTS = (1, 2, 5, 10, 20, 50, 100, 200)


def main() -> None:
    arguments = _arguments()
    options = Options(
        bits=arguments.bits,
        weight_bits=arguments.weight_bits,
        scheme=arguments.scheme,
        **dict.fromkeys([name.replace("-", "_") for name in filter(None, arguments.without.split(","))], False),  # type: ignore[arg-type]
    )
    print(HEADER, flush=True)
    for name in arguments.networks.split(","):
        case = CASES[name]()
        graph = optimize(load(case.model))
        for count in map(int, arguments.counts.split(",")):
            if count <= case.pool:
                row = _row(case, graph, count, range(arguments.draws), options, arguments.rival)
                print(row, flush=True)
                if arguments.page:
                    _write(row)


def _write(row: str) -> None:
    """Put the row into the page's table, in the place of the one for the same network and count."""
    before, _, after = PAGE.read_text().partition(FEW_SAMPLES)
    rows = [line for line in after.splitlines() if line.split("|")[2:3] and line.split("|")[2].strip().isdigit()]
    table = {_place(line): line for line in [*rows, row]}
    lines = [INTRODUCTION, HEADER, *(table[place] for place in sorted(table)), ""]
    PAGE.write_text(before + FEW_SAMPLES + "\n".join(lines))


def _place(row: str) -> tuple[int, int]:
    """Where a row stands in the table: the number of its network, and its count of samples."""
    name, count = (cell.strip() for cell in row.split("|")[1:3])
    return list(CASES).index(name), int(count)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", default=",".join(CASES))
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--bits", type=int, default=8)
    parser.add_argument("--weight-bits", type=int, default=8)
    parser.add_argument("--scheme", default=Options().scheme)
    parser.add_argument("--without", default="", help=f"improvements left out: {', '.join(switches())}")
    parser.add_argument("--page", action="store_true", help="write the rows into docs/quantization-benchmark.md, too")
    parser.add_argument("--rival", action=argparse.BooleanOptionalAction, default=True)
    return parser.parse_args()


def _row(case: Case, graph: Graph, count: int, draws: Sequence[int], options: Options, rival: bool) -> str:
    start = time.perf_counter()
    ours = [ours_db(case, graph, count, draw, options) for draw in draws]
    seconds = (time.perf_counter() - start) / len(draws)
    theirs = [converter_db(case, graph, count, draw) for draw in draws] if rival else []
    cells = [case.name, str(count), *_worst_median(ours), *_worst_median(theirs)]
    cells += [" ".join(f"{x:.1f}" for x in ours), f"{seconds:.1f}"]
    return f"| {' | '.join(cells)} |"


def _worst_median(values: Sequence[float]) -> tuple[str, str]:
    return (f"{min(values):.1f}", f"{np.median(values):.1f}") if values else ("-", "-")


def measurement(case: Case, graph: Graph, count: int, draw: int) -> Measurement:
    """The calibration of one draw, and the samples that judge it."""
    calibration, judges = case.draw(draw)
    (name,) = graph.inputs
    return Measurement(graph, calibrate(graph, DataSet({name: calibration[:count]})), DataSet({name: judges}))


def ours_db(case: Case, graph: Graph, count: int, draw: int, options: Options) -> float:
    """SQNR of the logits of our network."""
    return measurement(case, graph, count, draw).variant("", options).sqnr_db


def converter_db(case: Case, graph: Graph, count: int, draw: int) -> float:
    """SQNR of the logits of TensorFlow's converter: per-channel int8 weights, int8 maps by the samples' extremes."""
    path, key = CACHE / "tensorflow.json", f"{case.name}/{count}/{draw}"
    known: dict[str, float] = json.loads(path.read_text()) if path.is_file() else {}
    if key not in known:
        calibration, judges = case.draw(draw)
        (name,) = graph.inputs
        held_out = Measurement(graph, calibrate(graph, DataSet({name: judges[:1]})), DataSet({name: judges}))
        with _quiet():
            logits = _converted(case, calibration[:count], judges)
        known[key] = held_out.judged("", logits.reshape(held_out.float_logits.shape)).sqnr_db
        path.write_text(json.dumps(known, indent=0))
    return known[key]


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what TensorFlow prints: it writes to the descriptors, past Python's own files."""
    sys.stdout.flush()
    kept = os.dup(1), os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 1)
        os.dup2(nothing.fileno(), 2)
        try:
            yield
        finally:
            for number, descriptor in zip((1, 2), kept, strict=True):
                sys.stdout.flush()
                os.dup2(descriptor, number)
                os.close(descriptor)


def _converted(case: Case, calibration: Array, judges: Array) -> Array:
    keras = keras_library()
    import tensorflow as tf

    model = keras.models.load_model(case.model, compile=False)
    if getattr(model.layers[-1], "activation", None) is not None:
        model.layers[-1].activation = keras.activations.linear
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([x[None].astype(np.float32)] for x in calibration)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    return np.concatenate([_invoked(interpreter, x) for x in judges])


def _invoked(interpreter: Any, sample: Array) -> Array:
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = source["quantization"]
    q = np.clip(np.round(sample[None] / scale) + zero, -128, 127).astype(np.int8)
    interpreter.set_tensor(source["index"], q)
    interpreter.invoke()
    scale, zero = result["quantization"]
    return np.asarray((interpreter.get_tensor(result["index"]).astype(np.float64) - zero) * scale)


if __name__ == "__main__":
    main()
