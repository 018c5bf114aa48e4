"""The header for real numbers: what it says, to the bit, on this computer; and that devices can have it without a library."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.graph import Format, Node, QuantizedGraph, QuantizedNode
from ggdq_mcu.operators.concatenate import Concatenate
from ggdq_mcu.operators.dense import Dense
from ggdq_mcu.operators.input import Input
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.quantization.inputs import absorbed

COUNT = 400
FORMATS = [
    Format(8, False, 1.0),
    Format(8, False, 2.0**-8, 255),
    Format(8, True, 0.0271, 15),
    Format(8, True, 3.7e-5, -128),
    Format(16, True, 0.0009107),
    Format(16, True, 1.0, 0),
]
MAIN = """
#include "ggdq_net_float.h"
{functions}
"""


def network() -> QuantizedGraph:
    """An input for each format; the last is the output too, behind the others."""
    inputs = [QuantizedNode(f"x{i}", Input((COUNT,)), (), form) for i, form in enumerate(FORMATS)]
    names = tuple(node.name for node in inputs)
    joined, shapes = Concatenate(-1), [(COUNT,)] * len(inputs)
    constants = joined.lower({}, FORMATS, FORMATS[2], shapes)
    return QuantizedGraph("net", (*inputs, QuantizedNode("y", joined, names, FORMATS[2], constants)), ("y",))


def reals(form: Format) -> np.ndarray:
    """Numbers in and beyond the format's range, halves and their neighbours, and what is no number."""
    q = np.arange(form.low - 3, form.high + 4, max(1, (form.high - form.low) // 90))
    halves = ((q - form.zero_point + 0.5) * form.step).astype(np.float32)
    some = np.concatenate([halves, np.nextafter(halves, np.float32(np.inf)), np.nextafter(halves, np.float32(-np.inf))])
    odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 3e38, -3e38], np.float32)
    rest = np.random.default_rng(0).normal(0, 80 * form.step, COUNT).astype(np.float32)
    return np.concatenate([odd, some, rest])[:COUNT]


def written(form: Format, real: np.ndarray) -> np.ndarray:
    """The specification, in single precision."""
    with np.errstate(over="ignore"):
        steps = real / np.float32(form.step) + np.float32(form.zero_point + 0.5)
    whole = np.floor(np.where(np.isnan(steps), form.low, steps))
    return np.clip(whole, form.low, form.high).astype(form.dtype)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("float")
    for name, text in render_network(make_plan(network(), CORES["host"]), "net").items():
        (place / name).write_text(text)
    ends = [f"quantize_input_{i}" for i in range(len(FORMATS))]
    functions = [
        f"void call_{end}(const float *real, ggdq_net_{end[9:]}_t *q);\n"
        f"void call_{end}(const float *real, ggdq_net_{end[9:]}_t *q) {{ ggdq_net_{end}(real, q); }}"
        for end in ends
    ]
    functions.append(
        "void call_dequantize(const ggdq_net_output_t *q, float *real);\n"
        "void call_dequantize(const ggdq_net_output_t *q, float *real) { ggdq_net_dequantize_output(q, real); }"
    )
    (place / "main.c").write_text(MAIN.format(functions="\n".join(functions)))
    return place


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


@pytest.mark.parametrize("flags", [("-O2",), ("-O2", "-march=native", "-std=gnu11")])
def test_real_numbers_become_the_integers_that_it_says(folder: Path, flags: tuple[str, ...]) -> None:
    library = folder / f"{len(flags)}.so"
    subprocess.run(["cc", *STRICT, *flags, "-fPIC", "-shared", "main.c", "-o", str(library)], cwd=folder, check=True)
    calls = ctypes.CDLL(str(library))
    for i, form in enumerate(FORMATS):
        real = reals(form)
        assert len(real) == COUNT
        q = np.zeros(COUNT, form.dtype)
        getattr(calls, f"call_quantize_input_{i}")(pointer(real), pointer(q))
        np.testing.assert_array_equal(q, written(form, real))
        steps = np.clip(np.nan_to_num(real.astype(np.float64), posinf=1.0, neginf=-1.0) / form.step, -1e6, 1e6)
        safe = np.abs(steps % 1 - 0.5) > 1e-2  # not at the edge between two integers
        safe &= ~np.isnan(real)
        np.testing.assert_array_equal(q[safe], form.quantize(real[safe]))
    q = np.random.default_rng(0).integers(-128, 128, COUNT * len(FORMATS)).astype(np.int8)
    real = np.zeros(q.shape, np.float32)
    calls.call_dequantize(pointer(q), pointer(real))
    expected = np.float32(FORMATS[2].step) * (q.astype(np.float32) - np.float32(FORMATS[2].zero_point))
    np.testing.assert_array_equal(real, expected)


def test_channels_of_an_input_have_scales_and_zeros_of_their_own(tmp_path: Path) -> None:
    steps, zeros = np.array([0.0125, 3.5, 22.0]), np.array([0, 17, -4577])
    form, dense, output = Format(8, True, steps, 0, zeros), Dense(2), Format(8, True, 0.05)
    weights = {"kernel": np.array([[1.0, -2], [0.01, 0], [0, 0.003]])}
    node, source = absorbed(Node("y", dense, ("x",), weights), form)
    constants = dense.integers(node.weights, source, output, np.array([5, 5]), 8)
    nodes = QuantizedNode("x", Input((3,)), (), form), QuantizedNode("y", dense, ("x",), output, constants)
    graph = QuantizedGraph("net", nodes, ("y",))
    for name, text in render_network(make_plan(graph, CORES["host"]), "net").items():
        (tmp_path / name).write_text(text)
    call = "void call(const float *real, int8_t *q)"
    (tmp_path / "main.c").write_text(
        f'#include "ggdq_net_float.h"\n{call};\n{call} {{ ggdq_net_quantize_input(real, q); }}\n'
    )
    subprocess.run(["cc", *STRICT, "-fPIC", "-shared", "main.c", "-o", "it.so"], cwd=tmp_path, check=True)
    real = np.random.default_rng(0).normal([0.1, -60, 1e5], [0.5, 200, 1500], (50, 3)).astype(np.float32)
    found = np.zeros((50, 3), np.int8)
    calls = ctypes.CDLL(str(tmp_path / "it.so"))
    for i in range(50):
        sample, q = np.ascontiguousarray(real[i]), np.zeros(3, np.int8)
        calls.call(pointer(sample), pointer(q))
        found[i] = q
    edge = np.abs((real / steps) % 1 - 0.5) < 1e-2
    np.testing.assert_array_equal(found[~edge], form.quantize(real)[~edge])
    assert np.abs(found.astype(int) - form.quantize(real)).max() <= 1


def test_a_core_with_single_precision_needs_no_library_for_it(folder: Path) -> None:
    core = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
    subprocess.run(["arm-none-eabi-gcc", *STRICT, *core, "-O2", "-c", "main.c", "-o", "main.o"], cwd=folder, check=True)
    undefined = subprocess.run(
        ["arm-none-eabi-nm", "-u", "main.o"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    assert undefined.split() == []


def test_nothing_of_the_network_includes_it(folder: Path) -> None:
    for file in folder.glob("ggdq_*.[ch]"):
        assert file.name.endswith("_float.h") or "_float.h" not in file.read_text()
