"""The C of random networks under AddressSanitizer and UBSan: no byte beside the inputs, outputs and constants is touched."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings

from effort import drawn
from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.data import DataSet
from ggdq_mcu.emulation.host import SANITIZERS, STRICT
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.planning.search import make_plan
from ggdq_mcu.quantization.calibration import calibrate
from ggdq_mcu.quantization.options import Options
from ggdq_mcu.quantization.quantize import quantize
from network.random_networks import networks
from network.test_random_networks import OPTIONS, extreme_samples

# Each sample lies in memory of its own, of exactly its size: one byte before or after it is an error.
_MAIN = """
#include "ggdq_random.h"
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    for (;;) {
        ggdq_random_input_t *input = malloc(GGDQ_RANDOM_INPUT_BYTES);
        ggdq_random_output_t *output = malloc(GGDQ_RANDOM_OUTPUT_BYTES);
        size_t read = fread(input, 1, GGDQ_RANDOM_INPUT_BYTES, stdin);
        if (read == GGDQ_RANDOM_INPUT_BYTES && ggdq_random_invoke(input, output) == 0) {
            fwrite(output, 1, GGDQ_RANDOM_OUTPUT_BYTES, stdout);
        }
        free(input);
        free(output);
        if (read != GGDQ_RANDOM_INPUT_BYTES) {
            return read == 0 ? 0 : 1;
        }
    }
}
"""


def run_sanitized(network: QuantizedGraph, inputs: np.ndarray, folder: Path) -> bytes:
    """What the program, compiled with both sanitizers, answers to all samples."""
    for name, text in render_network(make_plan(network, CORES["host"], "balanced"), "random").items():
        (folder / name).write_text(text)
    (folder / "main.c").write_text(_MAIN)
    sources = sorted(map(str, folder.glob("*.c")))
    subprocess.run(["cc", *STRICT, "-O1", *SANITIZERS, *sources, "-o", str(folder / "run")], check=True)
    done = subprocess.run([str(folder / "run")], input=inputs.tobytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@settings(max_examples=drawn(10), suppress_health_check=list(HealthCheck))
@given(networks(), OPTIONS)
def test_no_byte_beside_the_tensors_is_touched(network: tuple[Graph, np.ndarray], options: Options) -> None:
    graph, samples = network
    quantized = quantize(graph, calibrate(graph, DataSet({"input": samples})), options)
    real = quantized.quantize_inputs({"input": samples[:2]})["input"]
    inputs = np.concatenate([real, extreme_samples(quantized, 0)["input"]])
    expected = quantized.run({"input": inputs})
    if len(quantized.outputs) == 1:
        with tempfile.TemporaryDirectory(prefix="ggdq-test-") as folder:
            answered = run_sanitized(quantized, inputs, Path(folder))
        assert answered == expected[quantized.outputs[0]].tobytes()
