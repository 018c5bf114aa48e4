"""What does a frame of a stream take, against the whole window? Instructions and memory of networks that take sound.

    python -m benchmarks.streaming [--core cortex-m4] [--models FOLDER]

Every network runs as a stream on the emulated core, and each of its outputs is compared with the reference's.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from benchmarks.networks import Builder, network, quantized

from ggdq_mcu.boards import CORES, Core, Memory
from ggdq_mcu.emulation.linked_library import link_library, trace_library
from ggdq_mcu.emulation.unicorn_machine import Machine
from ggdq_mcu.graph import Graph, QuantizedGraph
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.graph.window import Padding, Size
from ggdq_mcu.operators.add import Add
from ggdq_mcu.operators.conv2d import Conv2D
from ggdq_mcu.operators.reshape import Reshape
from ggdq_mcu.operators.slice import Slice
from ggdq_mcu.operators.softmax import Softmax
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.planning.search import GOALS, make_plan
from ggdq_mcu.planning.stream_plan import make_stream_plan

_DATA = Memory(0x2400_0000, 0x1_0000)
_WINDOWS = 40  # that are counted


def tcn(frames: int = 64, features: int = 16, channels: int = 32) -> Graph:
    """A causal temporal convolutional network: four residual blocks, dilation 1 to 8; the last row is classified."""
    net = Builder("tcn", (frames, features))
    net.add("image", Reshape((1, frames, features)))
    for block, dilation in enumerate((1, 2, 4, 8)):
        source = net.nodes[-1].name
        for half in "ab":
            inputs = net.shape(net.nodes[-1].name)[-1]
            padding = Padding(left=2 * dilation)
            operator = Conv2D(Size(1, 3), channels, padding=padding, dilation=Size(1, dilation), low=0.0)
            net.add(f"conv_{block}{half}", operator, kernel=(1, 3, inputs, channels), inputs=3 * inputs)
        if block:
            net.add(f"block_{block}", Add(), source, net.nodes[-1].name)
    net.add("last", Slice((0, frames - 1, 0), (1, 1, channels)))
    net.add("vector", Reshape((channels,)))
    net.dense("dense", 12)
    net.add("softmax", Softmax())
    return net.graph()


def instructions(plan: Plan, windows: int = _WINDOWS) -> tuple[float, int]:
    """Executed instructions of a frame on average, and of the frame that takes most, after the first window."""
    step = plan.graph
    assert isinstance(step, StepGraph)
    whole = step.whole
    (source,), (result,) = whole.inputs, whole.outputs
    form = whole.by_name[source].format
    count = step.window + windows * step.hop
    shape = (count, *step.frame_shape(source))
    frames = np.random.default_rng(4).integers(form.low, form.high + 1, shape).astype(form.dtype)
    library = link_library(plan)
    machine = Machine(library.image, plan.core, count=True)
    machine.map(_DATA, writable=True)
    output = whole.by_name[result].format.dtype, whole.shapes[result]
    place = _DATA.origin + _DATA.size // 2
    taken = []
    for number, frame in enumerate(frames, 1):
        machine.write(_DATA.origin, frame.tobytes())
        before = machine.instructions
        status = machine.call(library.interface.function, _DATA.origin, place)
        taken.append(machine.instructions - before)
        due = number >= step.window and (number - step.window) % step.hop == 0
        if status != due:
            raise SystemExit(f"{step.name}: returns {status} after frame {number}")
        if due:
            expected = whole.run({source: frames[None, number - step.window : number]})[result][0]
            actual = np.frombuffer(machine.read(place, expected.nbytes), output[0]).reshape(output[1])
            if not np.array_equal(actual, expected):
                raise SystemExit(f"{step.name}: not the reference's outputs after frame {number}")
    counted = taken[step.window :]
    return sum(counted) / len(counted), max(counted)


def row(graph: QuantizedGraph, core: Core, goal: str, hop: int | None = None) -> str:
    """A line of the table."""
    plan, once = make_stream_plan(graph, core, goal, hop), make_plan(graph, core, goal)
    step = plan.graph
    assert isinstance(step, StepGraph)
    frame, largest = instructions(plan)
    (source,) = graph.inputs
    form = graph.by_name[source].format
    window = trace_library(once, {source: np.full(graph.shapes[source], form.zero_point, form.dtype)}).total
    figures = f"{frame:>10.0f} {largest:>9} {window:>9} {window / (frame * step.hop):>6.1f}"
    return (
        f"{graph.name:<8} {goal:<9} {step.hop:>3} {figures} {plan.arena.size + plan.ring_bytes:>7} {once.arena.size:>7}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--core", default="cortex-m4", choices=[c for c, core in CORES.items() if core.unicorn])
    parser.add_argument("--models", type=Path, help="folder of trained models, for the network that has one")
    arguments = parser.parse_args()
    core = CORES[arguments.core]
    print(
        f"{'network':<8} {'goal':<9} {'hop':>3} {'frame':>10} {'most':>9} {'window':>9} {'times':>6} {'RAM':>7} {'at once':>7}"
    )
    for graph, hops in ((quantized(tcn()), (None,)), (network("ds_cnn", arguments.models), (None, 10))):
        for hop in hops:
            for goal in GOALS:
                print(row(graph, core, goal, hop), flush=True)


if __name__ == "__main__":
    main()
