"""How many instructions do quantized TFLite files take whose arithmetic is kept, next to TensorFlow Lite Micro?

    python -m benchmarks.kept FOLDER [--cores cortex-m4,...]

FOLDER holds the quantized files of MLPerf Tiny (ad01_int8.tflite, kws_ref_model.tflite, pretrainedResnet_quant.tflite,
vww_96_int8.tflite); those that are missing are left out. Counted as ``benchmarks.instructions`` does: outputs must equal
the integer reference.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.instructions import count_plan

from ggdq_mcu.boards import CORES
from ggdq_mcu.importers import load_kept
from ggdq_mcu.planning.search import make_plan

#: Millions of instructions of TFLM's interpreter with CMSIS-NN on a Cortex-M4 (None: not measured).
TFLM = {"ad01_int8": 0.58, "kws_ref_model": 7.7, "pretrainedResnet_quant": 29.9, "vww_96_int8": 24.1}
_HEAD = (
    "| network | core | instructions | cycles, estimated | arena, bytes | TFLM + CMSIS-NN | ratio |\n"
    "|---|---|---|---|---|---|---|"
)


def row(file: Path, core: str) -> str:
    """One line of the table, in Markdown."""
    plan = make_plan(load_kept(file)[1], CORES[core])
    counted = count_plan(plan)
    millions, peer = counted.total / 1e6, TFLM[file.stem] if core == "cortex-m4" else None
    cells = [file.stem, core, f"{millions:.3f} M", f"{counted.cycles / 1e6:.3f} M" if counted.cycles else "no rule"]
    cells += [str(plan.arena.size), *([f"{peer:g} M", f"{millions / peer:.2f}"] if peer else ["-", "-"])]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cores", default="cortex-m4")
    arguments = parser.parse_args()
    print(_HEAD)
    for name in TFLM:
        file = arguments.folder / f"{name}.tflite"
        for core in arguments.cores.split(",") if file.is_file() else ():
            print(row(file, core), flush=True)


if __name__ == "__main__":
    main()
