"""How many instructions does one inference of the benchmark networks take on each core, next to the peers' figures?

    python -m benchmarks.instructions [--cores cortex-m4,...] [--networks ds_cnn,...] [--goal balanced] [--models FOLDER]
                                      [--layers] [--cycles] [--write | --check]

The network's library, compiled by arm-none-eabi-gcc (RV32IMC: riscv64-unknown-elf-gcc) with -O2, runs on a sample in the
arena, in Unicorn (Cortex-M55: in QEMU, from memory of its own); its outputs must equal the integer reference, or the
benchmark stops. Executed instructions are deterministic (in QEMU within 32); they depend on the compiler a little.
``--write`` keeps the figures in benchmarks/instructions.json; ``--check`` fails where one is more than 2 % above them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from benchmarks.networks import NETWORKS, network

from ggdq_mcu.boards import CORES, Core
from ggdq_mcu.emulation.linked_library import trace_library
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import GOALS, make_plan

BASELINE = Path(__file__).with_name("instructions.json")
TOLERANCE = 1.02
MEASURED_CORES = ("cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55", "cortex-m3", "cortex-m0plus", "rv32imc")

#: Millions of instructions per inference, CMSIS-NN of July 2026 called directly, the best of -O2 and -O3 of
#: arm-none-eabi-gcc 12.2 and of clang where that is better; and what this project wants to need at the most.
CMSIS = {
    "ds_cnn": {
        "cortex-m4": 7.69,
        "cortex-m7": 7.64,
        "cortex-m33": 7.68,
        "cortex-m55": 1.75,
        "cortex-m3": 10.5,
        "cortex-m0plus": 24.8,
    },
    "resnet8": {
        "cortex-m4": 29.86,
        "cortex-m7": 29.9,
        "cortex-m33": 29.9,
        "cortex-m55": 4.57,
        "cortex-m3": 39.5,
        "cortex-m0plus": 97.6,
    },
    "mobilenet": {
        "cortex-m4": 24.09,
        "cortex-m7": 24.0,
        "cortex-m33": 24.0,
        "cortex-m55": 6.25,
        "cortex-m3": 31.9,
        "cortex-m0plus": 73.7,
    },
    "autoencoder": {
        "cortex-m4": 0.579,
        "cortex-m7": 0.58,
        "cortex-m33": 0.58,
        "cortex-m55": 0.062,
        "cortex-m3": 0.95,
        "cortex-m0plus": 1.76,
    },
}
TARGETS = {
    "ds_cnn": {
        "cortex-m4": 2.6,
        "cortex-m7": 2.6,
        "cortex-m33": 2.6,
        "cortex-m55": 0.9,
        "cortex-m3": 5.0,
        "cortex-m0plus": 10.0,
    },
    "resnet8": {
        "cortex-m4": 9.0,
        "cortex-m7": 9.0,
        "cortex-m33": 9.0,
        "cortex-m55": 2.3,
        "cortex-m3": 20.0,
        "cortex-m0plus": 45.0,
    },
    "mobilenet": {
        "cortex-m4": 8.5,
        "cortex-m7": 8.5,
        "cortex-m33": 8.5,
        "cortex-m55": 3.1,
        "cortex-m3": 16.0,
        "cortex-m0plus": 30.0,
    },
    "autoencoder": {
        "cortex-m4": 0.36,
        "cortex-m7": 0.36,
        "cortex-m33": 0.36,
        "cortex-m55": 0.06,
        "cortex-m3": 0.7,
        "cortex-m0plus": 1.1,
    },
}
#: Millions of cycles of CMSIS-NN by the estimate of ``ggdq-mcu profile`` (docs/commands.md).
CMSIS_CYCLES = {
    "ds_cnn": {"cortex-m4": 9.30},
    "resnet8": {"cortex-m4": 36.7},
    "mobilenet": {"cortex-m4": 29.5},
    "autoencoder": {"cortex-m4": 0.72},
}
_HEAD = "| network | core | instructions | per MAC | CMSIS-NN | ratio | target | |\n|---|---|---|---|---|---|---|---|"
_CYCLES_HEAD = "| network | core | cycles | for an instruction | CMSIS-NN | ratio |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Count:
    """Executed instructions of one inference, and by layer; estimated cycles where there is a rule for the core."""

    total: int
    layers: dict[str, int]
    cycles: int | None


def count(graph: QuantizedGraph, core: Core, goal: str = "balanced") -> Count:
    """Compile the network for ``core``, run one sample, compare it with the reference, and count."""
    return count_plan(make_plan(graph, core, goal))


def count_plan(plan: Plan) -> Count:
    """The same for a network that is planned."""
    graph, core = plan.graph, plan.core
    (source,), (target,) = graph.inputs, graph.outputs
    form = graph.by_name[source].format
    sample = np.random.default_rng(3).integers(form.low, form.high + 1, (1, *graph.shapes[source])).astype(form.dtype)
    expected = graph.run({source: sample})[target][0]
    trace = trace_library(plan, {source: sample[0]})
    np.testing.assert_array_equal(trace.outputs[0], expected.ravel(), f"{graph.name} on {core.name} differs")
    layers = {graph.nodes[index].name: executed for index, executed in trace.instructions.items()}
    return Count(trace.total, layers, trace.total_cycles)


def row(name: str, core: str, counted: Count, macs: int) -> str:
    """One line of the table, in Markdown."""
    millions = counted.total / 1e6
    cells = [name, core, f"{millions:.3f} M", f"{counted.total / macs:.2f}"]
    if core in CMSIS[name]:
        peer, target = CMSIS[name][core], TARGETS[name][core]
        reached = "reached" if millions <= target else "missed"
        cells += [f"{peer:g} M", f"{millions / peer:.2f}", f"{target:g} M", reached]
    else:
        cells += ["-", "-", "-", "no peer"]
    return f"| {' | '.join(cells)} |"


def cycles_row(name: str, core: str, counted: Count) -> str:
    """One line of the table of estimated cycles, in Markdown."""
    if counted.cycles is None:
        return f"| {name} | {core} | no rule | - | - | - |"
    millions, peer = counted.cycles / 1e6, CMSIS_CYCLES[name].get(core)
    cells = [name, core, f"{millions:.3f} M", f"{counted.cycles / counted.total:.2f}"]
    cells += [f"{peer:g} M", f"{millions / peer:.2f}"] if peer else ["-", "-"]
    return f"| {' | '.join(cells)} |"


def worse(figures: dict[str, dict[str, int]]) -> list[str]:
    """What takes more instructions than the baseline allows."""
    baseline = json.loads(BASELINE.read_text())
    return [
        f"{name} on {core}: {total} instructions, {baseline[name][core]} before"
        for name, cores in figures.items()
        for core, total in cores.items()
        if total > TOLERANCE * baseline[name][core]
    ]


def main() -> None:
    """Print the table; keep or check the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", default=",".join(MEASURED_CORES))
    parser.add_argument("--networks", default=",".join(NETWORKS))
    parser.add_argument("--goal", default="balanced", choices=GOALS)
    parser.add_argument("--models", type=Path, help="folder of trained models, for the networks that have one")
    parser.add_argument("--layers", action="store_true", help="also the instructions of each layer")
    parser.add_argument("--cycles", action="store_true", help="estimated cycles instead")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument("--write", action="store_true", help="keep the figures as the baseline")
    kept.add_argument("--check", action="store_true", help="exit with 1 where a figure is 2 %% worse than the baseline")
    arguments = parser.parse_args()
    print(_CYCLES_HEAD if arguments.cycles else _HEAD)
    figures: dict[str, dict[str, int]] = {}
    for name in arguments.networks.split(","):
        graph = network(name, arguments.models)
        macs = {node.name: node.operator.macs(graph.input_shapes(node)) for node in graph.nodes if node.inputs}
        for core in arguments.cores.split(","):
            counted = count(graph, CORES[core], arguments.goal)
            figures.setdefault(name, {})[core] = counted.total
            line = cycles_row(name, core, counted) if arguments.cycles else row(name, core, counted, sum(macs.values()))
            print(line, flush=True)
            for layer, executed in counted.layers.items() if arguments.layers else ():
                print(f"|  {layer} | | {executed} | {executed / macs[layer] if macs[layer] else 0:.2f} | | | | |")
    if arguments.write:
        BASELINE.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.check and (found := worse(figures)):
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
