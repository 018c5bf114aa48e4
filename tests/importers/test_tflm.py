"""Quantized TFLite networks that keep their arithmetic: equal to TensorFlow Lite Micro, to the bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.micro import interpreter

from ggdq_mcu.importers import load_kept
from ggdq_mcu.sources.tflite_arithmetic import multipliers, scaled
from importers import tflite_quantized
from importers.tflite_files import FileTensor, Op, constant, write
from importers.tflm import assert_equal
from network.native_library import run_native

#: Operators of the files below that TensorFlow Lite Micro does not have in 8 bits.
MISSING = ("GELU", "EXP", "REDUCE_ANY")
ZOO = ("mlperf_tiny", "tflm_seanet", "tflm")


def single_operators(path: Path, dtype: str, seed: int) -> Iterator[tuple[str, Path]]:
    """Files of one operator each, with what makes its inputs, of those that are in one file of all."""
    made: dict[str, list] = {}

    def collect(_: Path, tensors: list, operators: list, inputs: list, outputs: list) -> Path:
        made.update(tensors=tensors, operators=operators, inputs=inputs)
        return path

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tflite_quantized, "write", collect)
        tflite_quantized.quantized_file(path, dtype, seed)
    for place, op in enumerate(made["operators"]):
        needed, chain = set(op.inputs), [op]
        for earlier in reversed(made["operators"][:place]):
            if needed & set(earlier.outputs):
                chain.insert(0, earlier)
                needed |= set(earlier.inputs)
        inputs = [index for index in made["inputs"] if index in needed]
        yield op.kind, write(path, made["tensors"], chain, inputs, op.outputs)


@pytest.mark.parametrize("seed", range(3))
def test_operators_are_equal_to_the_interpreter(tmp_path: Path, seed: int) -> None:
    kinds = set()
    for kind, path in single_operators(tmp_path / "net.tflite", "int8", seed):
        if kind not in MISSING:
            assert_equal(path, load_kept(path)[1], 4, seed)
            kinds.add(kind)
    assert {"CONV_2D", "FULLY_CONNECTED", "LEAKY_RELU", "RELU6", "SOFTMAX"} <= kinds


def test_operators_that_only_the_interpreter_computes_so_are_equal_to_it(tmp_path: Path) -> None:
    for seed in range(3):
        path = tflite_quantized.micro_file(tmp_path / "net.tflite", seed=seed)
        assert_equal(path, load_kept(path)[1], 5, seed)


def telling(single: float, double: float, values: np.ndarray) -> np.ndarray:
    """The values that are scaled otherwise by a factor of single than by one of double precision; up to 20."""
    results = [scaled(values, *multipliers(factor)) for factor in (single, double)]
    return values[(results[0] != results[1]) & (np.abs(results[1]) < 120)][:20]


def test_sums_that_tell_single_from_double_precision_are_equal_to_the_interpreter(tmp_path: Path) -> None:
    random, path = np.random.default_rng(0), tmp_path / "net.tflite"
    for shape, kind, table in (((2,), "FULLY_CONNECTED", ""), ((1, 1, 2), "CONV_2D", "Conv2DOptions")):
        one, two = np.float32(random.uniform(0.01, 0.2, 2))
        out = np.float32(float(one) * float(two) * 2**21 / 128)
        sums = telling(float(one * two) / float(out), float(one) * float(two) / float(out), np.arange(-(2**21), 2**21))
        count = len(sums)
        tensors = [
            FileTensor((1, 1, 1, 2), "int8", scales=[one]),
            constant(np.ones((count, *shape)), "int8", scales=[two]),
            constant(sums, "int32", scales=[one * two]),
            FileTensor((1, count) if len(shape) == 1 else (1, 1, 1, count), "int8", scales=[out]),
        ]
        options = {"StrideH": 1, "StrideW": 1} if table else {}
        write(path, tensors, [Op(kind, (0, 1, 2), (3,), table, options)], [0], [3])
        assert count > 3
        micro, (_, network) = interpreter(path), load_kept(path)
        micro.set_input(np.zeros((1, 1, 1, 2), np.int8), 0)
        micro.invoke()
        (found,) = network.run({network.inputs[0]: np.zeros((1, 1, 1, 2), np.int8)}).values()
        np.testing.assert_array_equal(found.ravel(), micro.get_output(0).ravel())


@pytest.mark.parametrize(("kind", "table"), [("MUL", "MulOptions"), ("PRELU", "")])
def test_products_that_tell_single_from_double_precision_are_equal_to_the_interpreter(
    tmp_path: Path, kind: str, table: str
) -> None:
    random, path, tried = np.random.default_rng(0), tmp_path / "net.tflite", 0
    u = np.arange(-128, 128)
    products = np.multiply.outer(u[:128], u)  # of a negative first factor, as PRELU has it
    for _ in range(30):
        one, two = np.float32(random.uniform(0.01, 0.2, 2))
        out = np.float32(float(one) * float(two) * 16384 / 120)
        found = telling(float(one * two / out), float(one) * float(two) / float(out), np.unique(products))
        for product in found[:1]:
            row, column = np.argwhere(products == product)[0]
            tensors = [
                FileTensor((1, 1, 1, 1), "int8", scales=[one]),
                constant([[[[u[column]]]]], "int8", scales=[two]),
                FileTensor((1, 1, 1, 1), "int8", scales=[out]),
            ]
            write(path, tensors, [Op(kind, (0, 1), (2,), table)], [0], [2])
            micro, (_, network) = interpreter(path), load_kept(path)
            q = np.full((1, 1, 1, 1), u[row], np.int8)
            micro.set_input(q, 0)
            micro.invoke()
            (ours,) = network.run({network.inputs[0]: q}).values()
            assert ours.item() == micro.get_output(0).item(), (one, two, product)
            tried += 1
    assert tried > 5


def test_sums_of_64_bits_are_equal_to_the_interpreter_and_in_c(tmp_path: Path) -> None:
    for kind, path in tflite_quantized.wide_files(tmp_path / "net.tflite"):
        _, network = load_kept(path)
        samples = assert_equal(path, network, 4, 1)
        (found,), _ = run_native(network, samples[-1])
        for name, value in network.run(samples[-1]).items():
            assert (found[name].ravel() == value.ravel()).all(), kind


@pytest.mark.parametrize("folder", ZOO)
def test_published_networks_are_equal_to_the_interpreter(shared: Path, folder: str) -> None:
    paths = sorted((shared / "models" / "zoo" / folder).glob("*.tflite"))
    assert paths
    for path in paths[:: 6 if folder == "tflm_seanet" else 1]:
        if path.stem not in REFUSED:
            assert_equal(path, load_kept(path)[1], 3)


#: Not quantized, compiled for another processor, or of operators that are refused.
REFUSED = (
    "audio_preprocessor_float", "audio_preprocessor_int8", "dtln_noise_suppression", "keyword_scrambled",
    "keyword_scrambled_8bit", "micro_speech_lstm", "person_detect_vela", "trained_lstm", "trained_lstm_int8",
)  # fmt: skip
