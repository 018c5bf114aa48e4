"""How does a device know that its network is whole? By a stored input with its output, and a checksum of the constants."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.codegen import arrays
from ggdq_mcu.codegen.layers import make_layers
from ggdq_mcu.codegen.lines import fold
from ggdq_mcu.codegen.names import comment
from ggdq_mcu.codegen.network import environment
from ggdq_mcu.graph.step import StepGraph
from ggdq_mcu.planning.plan import Plan
from ggdq_mcu.version import __version__

Array = NDArray[Any]


def render_selftest(plan: Plan, name: str, inputs: Sequence[Array], outputs: Sequence[Array]) -> dict[str, str]:
    """The self-test's files by name; ``inputs`` and ``outputs`` are one sample's integers, in the network's order."""
    constants = [constant for layer in make_layers(plan, name) for constant in layer.own_arrays]
    ends = [("input", plan.graph.inputs, inputs), ("output", plan.graph.outputs, outputs)]
    context = {
        "version": __version__,
        "prefix": f"ggdq_{name}",
        "macro": f"GGDQ_{name.upper()}",
        "title": comment(plan.graph.name),
        "constants": constants,
        "crc": crc_of([values for _, values in constants]),
        "inputs": _named(*ends[0]),
        "stateful": plan.graph.keeps_state,
        "outputs": _named(*ends[1]),
        "definition": arrays.definition,
        "window": plan.graph.window if isinstance(plan.graph, StepGraph) else 0,
    }
    env = environment()
    return {
        f"ggdq_{name}_selftest.{ending}": fold(env.get_template(f"network/selftest.{ending}.j2").render(context))
        for ending in ("h", "c")
    }


def crc_of(values: Sequence[Array]) -> int:
    """CRC-32 (of Ethernet and zip) over the bytes of the arrays as a little-endian core has them in memory."""
    crc = 0
    for array in values:
        crc = zlib.crc32(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes(), crc)
    return crc


def _named(kind: str, names: Sequence[str], values: Sequence[Array]) -> list[tuple[str, Array]]:
    return [(kind if len(names) == 1 else f"{kind}_{i}", value) for i, value in enumerate(values)]
