"""What do strips save, and what do they cost? Each goal with all layers whole, and with those in strips that pay.

    python -m benchmarks.strips [--core cortex-m4] [--networks mobilenet,mobilenet_v2] [--goals balanced,size]

Instructions are counted in one inference that is compared with the reference; code is what the linker keeps.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.instructions import count_plan
from benchmarks.memory import measure
from benchmarks.networks import MORE, NETWORKS, network

from ggdq_mcu.boards import CORES
from ggdq_mcu.planning.search import GOALS, make_plan


def main() -> None:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-m4", choices=[c for c, core in CORES.items() if core.unicorn])
    parser.add_argument("--networks", default=",".join(NETWORKS | MORE))
    parser.add_argument("--goals", default=",".join(GOALS))
    arguments = parser.parse_args()
    print(
        "| network | goal | arena, whole | in strips | instructions, whole | in strips | code, whole | in strips | strips |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name in arguments.networks.split(","):
        quantized = network(name)
        for goal in arguments.goals.split(","):
            whole = make_plan(quantized, CORES[arguments.core], goal, stages=())
            start = time.process_time()
            plan = make_plan(quantized, CORES[arguments.core], goal)
            seconds = time.process_time() - start
            before, after = count_plan(whole).total, count_plan(plan).total
            code = measure(whole, name).code, measure(plan, name).code
            stages = ", ".join(f"{s.nodes[0]} to {s.nodes[-1]} by {s.stage.rows}" for s in plan.schedules) or "none"
            print(
                f"| {name} | {goal} | {whole.arena.size} | {plan.arena.size} | {before / 1e6:.3f} M | {after / 1e6:.3f} M "
                f"| {code[0]} | {code[1]} | {stages}, planned in {seconds:.1f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
