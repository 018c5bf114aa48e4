"""What does a network's library compute on a core that Unicorn does not have, and in how many instructions?

The library is compiled together with a small program that holds the inputs, calls it in QEMU's model of the Cortex-M55,
and writes the outputs through semihosting. QEMU executes an instruction a nanosecond (-icount shift=0), so the timer of
the machine, which runs at 32 MHz, counts 31.25 instructions a tick.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.codegen.network import render_network
from ggdq_mcu.emulation.host import STRICT
from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import QuantizedGraph
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.scratch import Scratch

Array = NDArray[Any]
_NAME = "network"
_GUARD = 16  # bytes behind each output, to see writes that go too far
_FILL = 0xA5
_INSTRUCTIONS_PER_TICK = 31.25
_LAYERS = 256
_MACHINE = ("qemu-system-arm", "-machine", "mps3-an547", "-icount", "shift=0", "-display", "none", "-monitor", "none")
_SEMIHOSTING = ("-serial", "null", "-semihosting-config", "enable=on,target=native")
_LAYOUT = ("-Wl,--section-start=.vectors=0", "-Ttext=0x400", "-Tdata=0x20000000", "-Wl,-e,reset_handler")

_PROGRAM = """
#include <stdint.h>
#include <string.h>
#include "ggdq_{name}.h"

static const uint8_t inputs[{samples}][{input_bytes}] __attribute__((aligned(8))) = {{ {data} }};
static uint8_t outputs[{output_bytes}] __attribute__((aligned(8)));
static uint32_t ticks[{layers} + 1], last;
static volatile uint32_t *const timer = (volatile uint32_t *)0xE000E010;

void reset_handler(void);
__attribute__((section(".vectors"), used)) static const union {{
    uint32_t stack;
    void (*handler)(void);
}} vectors[2] = {{ {{ .stack = 0x20080000 }}, {{ .handler = reset_handler }} }};

static int semihosting(int operation, const void *argument)
{{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}}

void ggdq_{name}_trace(int layer, const void *data, size_t bytes);
void ggdq_{name}_trace(int layer, const void *data, size_t bytes)
{{
    (void)data;
    (void)bytes;
    const uint32_t now = 0xFFFFFF - timer[2];
    ticks[layer] += now - last;
    last = now;
}}

__attribute__((used)) static void run(void)
{{
    const struct {{ const char *name; uint32_t mode, length; }} out = {{ ":tt", 5, 3 }};
    const int file = semihosting(1, &out);
    for (int i = 0; i < {samples}; ++i) {{
        memset(outputs, {fill}, sizeof outputs);
        memset(ticks, 0, sizeof ticks);
        {reset}
        last = 0;
        timer[0] = 0;
        timer[1] = 0xFFFFFF;
        timer[2] = 0;
        timer[0] = 5;
        if (ggdq_{name}_invoke({arguments}) != 0) {{
            break;
        }}
        ticks[{layers}] = 0xFFFFFF - timer[2];
        const struct {{ int file; const void *data; uint32_t bytes; }} parts[2] = {{
            {{ file, outputs, sizeof outputs }}, {{ file, ticks, sizeof ticks }}
        }};
        semihosting(5, &parts[0]);
        semihosting(5, &parts[1]);
    }}
    semihosting(0x18, (const void *)0x20026);
}}

__attribute__((naked)) void reset_handler(void)
{{
    __asm__ volatile( /* the FPU and Helium are enabled */
        "movw r0, #0xED88\\n movt r0, #0xE000\\n"
        "ldr r1, [r0]\\n orr r1, r1, #0xF00000\\n str r1, [r0]\\n dsb\\n isb\\n b run\\n");
}}
"""


@dataclass(frozen=True)
class Outcome:
    """Outputs by name; executed instructions of the call, and of each layer by its index (within 32)."""

    outputs: dict[str, Array]
    instructions: int
    layers: dict[int, int]


def run_library(
    plan: Plan, samples: Sequence[Mapping[str, Array]], flags: Sequence[str] = ("-O2",), trace: bool = False
) -> list[Outcome]:
    """The library's outputs for each sample, inputs by name. With ``trace`` the layers' instructions are known too."""
    graph = plan.graph
    with Scratch("qemu") as folder:
        for file, text in render_network(plan, _NAME).items():
            (folder / file).write_text(text)
        places, size = _places(graph, graph.outputs)
        (folder / "main.c").write_text(_program(graph, samples, places, size))
        line = ["arm-none-eabi-gcc", *plan.core.flags, *STRICT, *flags, *(["-DGGDQ_TRACE"] if trace else [])]
        line += ["-nostartfiles", "--specs=nano.specs", "--specs=nosys.specs", *_LAYOUT]
        line += [*sorted(str(path) for path in folder.glob("*.[cS]")), "-o", str(folder / "network.elf")]
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise GgdqError(f"the library does not compile: {done.stderr.strip()}", graph.name)
        command = [*_MACHINE, *_SEMIHOSTING, "-kernel", str(folder / "network.elf")]
        said = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False).stdout
    step = size + 4 * (_LAYERS + 1)
    if len(said) != step * len(samples):
        raise GgdqError(f"the library ended after {len(said) // step} of {len(samples)} samples", graph.name)
    return [_outcome(graph, said[i * step : (i + 1) * step], places, size) for i in range(len(samples))]


def _places(graph: QuantizedGraph, names: Sequence[str]) -> tuple[dict[str, int], int]:
    """Offset of each tensor in an array, and the array's bytes."""
    places, size = {}, 0
    for name in names:
        places[name] = size
        size += (_bytes(graph, name) + _GUARD + 7) // 8 * 8
    return places, size


def _bytes(graph: QuantizedGraph, name: str) -> int:
    return int(np.prod(graph.shapes[name])) * graph.by_name[name].format.storage_bits // 8


def _program(
    graph: QuantizedGraph, samples: Sequence[Mapping[str, Array]], outputs: Mapping[str, int], output_bytes: int
) -> str:
    places, size = _places(graph, graph.inputs)
    data = np.zeros((len(samples), size), np.uint8)
    for row, sample in zip(data, samples, strict=True):
        for name, place in places.items():
            raw = np.frombuffer(sample[name].astype(graph.by_name[name].format.dtype).tobytes(), np.uint8)
            row[place : place + len(raw)] = raw
    arguments = [f"(const void *)(inputs[i] + {place})" for place in places.values()]
    arguments += [f"(void *)(outputs + {place})" for place in outputs.values()]
    return _PROGRAM.format(
        name=_NAME,
        samples=len(samples),
        input_bytes=size,
        output_bytes=output_bytes,
        layers=_LAYERS,
        fill=_FILL,
        arguments=", ".join(arguments),
        reset=f"ggdq_{_NAME}_reset();" if graph.keeps_state else "",
        data=", ".join("{" + ",".join(map(str, row.tolist())) + "}" for row in data),
    )


def _outcome(graph: QuantizedGraph, said: bytes, places: Mapping[str, int], size: int) -> Outcome:
    outputs = {}
    for name, place in places.items():
        end = place + _bytes(graph, name)
        if said[end : end + _GUARD] != bytes([_FILL]) * _GUARD:
            raise GgdqError(f"{name} writes beyond its output", graph.name)
        outputs[name] = np.frombuffer(said[place:end], graph.by_name[name].format.dtype).reshape(graph.shapes[name])
    ticks = np.frombuffer(said[size:], "<u4")
    layers = {int(i): round(_INSTRUCTIONS_PER_TICK * int(ticks[i])) for i in np.flatnonzero(ticks[:-1])}
    return Outcome(outputs, round(_INSTRUCTIONS_PER_TICK * int(ticks[-1])), layers)
