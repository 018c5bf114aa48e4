"""How much more does an error of clipping weigh at a network's outputs than one of rounding?

Errors of rounding are independent of each other and average out in the sums that follow; clipping hits the largest values,
which networks make most of. The ratio depends on the network and is measured: the feature maps are rounded, all else
in float, on samples of calibration, with steps made for several weights, and the one with the least noise is taken.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import Format, Graph, Node
from ggdq_mcu.numerics.sums import total
from ggdq_mcu.quantization.calibration import Calibration
from ggdq_mcu.quantization.channel_steps import choose_profiles
from ggdq_mcu.quantization.formats import FormatChoice
from ggdq_mcu.quantization.options import Options

Array = NDArray[Any]
_WEIGHTS = (1.0, 2.0, 4.0, 8.0)
_MOST_SAMPLES = 100


def clip_weight(graph: Graph, calibration: Calibration) -> float:
    """1, 2, 4 or 8, found once for a calibration, at 8 bits with the default scheme; 1 where there are no samples."""
    if calibration.drawn or not calibration.samples:
        return 1.0
    return calibration.remembered(("clip weight",), lambda: _measured(graph, calibration))


def _measured(graph: Graph, calibration: Calibration) -> float:
    options = Options()
    profiles = choose_profiles(graph, calibration, options)
    samples = {name: x[:_MOST_SAMPLES] for name, x in calibration.samples.items()}
    with np.errstate(over="ignore", invalid="ignore"):
        real = _before_softmax(graph, samples, {})
        noises = []
        for weight in _WEIGHTS:
            choice, formats = FormatChoice(graph, calibration, options, profiles, weight), dict[str, Format]()
            for node in graph.nodes:
                formats[node.name] = choice.format_of(node, [formats[name] for name in node.inputs])
            found = _before_softmax(graph, samples, formats)
            noises.append(sum(_relative_noise(real[name], found[name]) for name in real))
    return _WEIGHTS[int(np.argmin(np.nan_to_num(noises, nan=np.inf)))]


def _before_softmax(graph: Graph, samples: dict[str, Array], formats: dict[str, Format]) -> dict[str, Array]:
    """The outputs, or what their (log-)softmax reads, of feature maps rounded to their formats, if any."""
    outputs = [graph.by_name[name] for name in graph.outputs]
    wanted = {node.inputs[0] if node.operator.reads_wide else node.name for node in outputs}
    found: dict[str, Array] = {}

    def rounded(node: Node, value: Array) -> Array:
        if node.name in formats:
            form = formats[node.name]
            value = form.dequantize(form.quantize(value)).astype(np.float32)
        if node.name in wanted:
            found[node.name] = value.astype(np.float64)
        return value

    graph.run(samples, rounded)
    return found


def _relative_noise(real: Array, found: Array) -> float:
    return float(total(np.square(found - real)) / max(total(np.square(real)), 1e-30))
