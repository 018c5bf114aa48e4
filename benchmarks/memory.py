"""How much memory do the benchmark networks take? Arena, work memory, code, constants and stack, next to the targets.

    python -m benchmarks.memory [--core cortex-m4] [--goal balanced] [--models FOLDER] [--layers]

Code is what the linker keeps of the network's library: kernels, constants of the code, and what they need of the C
library; weights are counted apart. The arena does not hold input and output, which are the caller's.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.networks import NETWORKS, network
from elftools.elf.elffile import ELFFile

from ggdq_mcu.boards import CORES
from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import GOALS, make_plan
from ggdq_mcu.planning.stack import StackUse, worst_stack

#: Bytes on a Cortex-M4: arena and code that are wanted; what peers need. TensorFlow Lite Micro of August 2026 with
#: CMSIS-NN, release build with the operators needed, and CMSIS-NN of July 2026 called directly, arm-none-eabi-gcc 12.2.
TARGETS = {
    "ds_cnn": {"arena": 10_500, "code": 10_240, "tflm": 22_820, "cmsis": 16_000, "cmsis code": 21_500},
    "resnet8": {"arena": 35_000, "code": 10_240, "tflm": 54_996, "cmsis": 49_728, "cmsis code": 18_500},
    "mobilenet": {"arena": 40_000, "code": 14_336, "tflm": 100_708, "cmsis": 64_512, "cmsis code": 23_300},
    "autoencoder": {"arena": 768, "code": 3_072, "tflm": 2_580, "cmsis": 768, "cmsis code": 4_800},
}


@dataclass(frozen=True)
class Sizes:
    """Bytes of a linked network: code with its constants, weights, static memory; the deepest stack of an inference."""

    code: int
    weights: int
    static: int
    stack: StackUse | None


def measure(plan: Plan, name: str) -> Sizes:
    """Compile and link the network's library alone."""
    with tempfile.TemporaryDirectory(prefix="ggdq-memory-") as folder:
        for file, text in render_network(plan, name).items():
            (Path(folder) / file).write_text(text)
        elf = Path(folder) / "network.elf"
        line = ["arm-none-eabi-gcc", *plan.core.flags, "-std=c11", "-O2", "-ffunction-sections", "-fdata-sections"]
        line += ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", "-Wl,--gc-sections"]
        line += [f"-Wl,-e,ggdq_{name}_invoke", *sorted(map(str, Path(folder).glob("*.[cS]"))), "-o", str(elf)]
        subprocess.run(line, check=True)
        with elf.open("rb") as file:
            program = ELFFile(file)
            sections = {s.name: s["sh_size"] for s in program.iter_sections() if s["sh_flags"] & 2}
            prefix = f"ggdq_{name}_"
            objects = [s for s in program.get_section_by_name(".symtab").iter_symbols() if s.name.startswith(prefix)]
            weights = sum(s["st_size"] for s in objects if s["st_info"]["type"] == "STT_OBJECT")
        static = sections.pop(".bss", 0)
        return Sizes(sum(sections.values()) - weights, weights, static, worst_stack(elf, f"ggdq_{name}_invoke"))


def layers(plan: Plan) -> list[str]:
    """Per layer: kernel, scratch, bytes that its step needs with all that is alive, and what these are."""
    lines = []
    for node in plan.layers:
        step = plan.graph.nodes.index(node)
        alive = [b for b in plan.arena.buffers if b.first <= step <= b.last]
        top = max((plan.arena.offsets[b.name] + b.size for b in alive), default=0)
        kernel = plan.kernels[node.name]
        held = ", ".join(f"{b.name} {plan.arena.offsets[b.name]}+{b.size}" for b in alive)
        lines.append(f"  {node.name:<18} {kernel.name:<12} top {top:>6}  {held}")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--core", default="cortex-m4", choices=[c for c, core in CORES.items() if core.family == "cortex-m"]
    )
    parser.add_argument("--goal", default="balanced", choices=GOALS)
    parser.add_argument("--models", type=Path, help="folder of trained models, for the networks that have one")
    parser.add_argument("--layers", action="store_true", help="also what lives in the arena at each layer")
    arguments = parser.parse_args()
    head = f"{'network':<12} {'arena':>7} {'target':>7} {'bound':>7} {'TFLM':>7} {'CMSIS':>7} {'scratch':>7}"
    print(f"{head} {'code':>7} {'target':>7} {'weights':>8} {'stack':>6} {'planned in':>10}")
    for name in NETWORKS:
        quantized = network(name, arguments.models)
        start = time.perf_counter()
        plan = make_plan(quantized, CORES[arguments.core], arguments.goal)
        seconds = time.perf_counter() - start
        sizes, target = measure(plan, name), TARGETS[name]
        scratch = max(kernel.scratch_bytes for kernel in plan.kernels.values())
        memory = (
            f"{plan.arena.size:>7} {target['arena']:>7} {plan.arena.bound:>7} {target['tflm']:>7} {target['cmsis']:>7}"
        )
        code = f"{sizes.code:>7} {target['code']:>7} {sizes.weights:>8} {sizes.stack.bytes if sizes.stack else 0:>6}"
        print(f"{name:<12} {memory} {scratch:>7} {code} {seconds:>9.2f}s", flush=True)
        if arguments.layers:
            print("\n".join(layers(plan)))


if __name__ == "__main__":
    main()
