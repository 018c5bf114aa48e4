"""How do convolutions and dense layers in TFLite's arithmetic run on small cores? As ours do, but for how sums end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from ggdq_mcu.boards import Core
from ggdq_mcu.graph import Kernel, Operator, QuantizedLayer, Routine
from ggdq_mcu.graph.overlap import blocks_of_pixels, pixel_bytes
from ggdq_mcu.kernels import Offer
from ggdq_mcu.kernels.cortex_m.dense_four_channels import four_channels_kernel
from ggdq_mcu.kernels.cortex_m.five_pixels import PIXELS, five_pixels, windows
from ggdq_mcu.kernels.cortex_m.kept_scaling import kept_layer, plain_layer
from ggdq_mcu.operators.tflite_conv2d import TFLiteConv2D
from ggdq_mcu.operators.tflite_dense import TFLiteDense

_RESCALED = 16  # instructions for an output
_GROUPS = 8  # of four channels, whose sums are kept before they are scaled


def convolution(operator: TFLiteConv2D, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Sums of five pixels, which are scaled channel by channel."""
    kept = kept_layer(operator, layer)
    dots = five_pixels(operator, kept.plain, core, raw=True) if kept and operator.groups == 1 else None
    if kept is None or dots is None:
        return
    height, width, channels = operator.output_shape(layer.shapes[0])
    bounds = kept.routine.parameters["suffix"]
    rescale = {"rescale": f"ggdq_rescale_five_{bounds}", "type": layer.output.c_type, "bounds": bounds}
    five = Routine("routines/tflite_rescale_five.c.j2", kept.routine.parameters, 180)
    found = windows(operator, layer.shapes[0], dots, rescale)
    yield Kernel(
        "five_pixels",
        f"operators/conv2d/{found.template}.c.j2",
        {**found.parameters, **rescale, "padding_value": layer.sources[0].zero_point, "low": None, "high": None},
        {"weights": dots.weights, "scaling": kept.scaling},
        found.scratch + 4 * PIXELS * channels,
        dots.instructions(height * width, channels, found.overhead) + _RESCALED * height * width * channels,
        (kept.routine, five, *found.routines),
        {0: blocks_of_pixels(operator.first_pixels(layer.shapes[0]), *pixel_bytes(layer), PIXELS)},
        code_bytes=found.code_bytes,
    )


def dense(operator: TFLiteDense, layer: QuantizedLayer, core: Core) -> Iterator[Kernel]:
    """Sums of four channels at a time, which are scaled as above or, where that is not possible, as in portable C."""
    (portable,) = operator.kernels(layer)
    if portable.parameters["accumulator"] != "int32_t" or layer.output.storage_bits != 8:
        return
    groups = min(-(-operator.units // 4), _GROUPS)
    kept = kept_layer(operator, layer)
    if kept:
        plain, ends, own = kept.plain, {"scaling": kept.scaling}, kept.parameters
        routines: tuple[Routine, ...] = (kept.routine,)
    else:
        plain, routines = plain_layer(layer), portable.routines
        ends = {key: array for key, array in portable.arrays.items() if key not in ("weights", "bias")}
        own = {key: portable.parameters[key] for key in ("accumulator", "shift", "low", "high")}
    for kernel in four_channels_kernel(operator, plain, core, raw=True):
        yield replace(
            kernel,
            template="operators/dense/four_channels_kept.c.j2",
            parameters={**kernel.parameters, **own, "block": 4 * groups},
            arrays={**kernel.arrays, **ends},
            scratch_bytes=kernel.scratch_bytes + 16 * groups,
            instructions=kernel.instructions + (_RESCALED if kept else 60) * int(np.prod(layer.shape)),
            routines=(*routines, *kernel.routines),
        )


KERNELS: Mapping[type[Operator], Offer] = {TFLiteConv2D: convolution, TFLiteDense: dense}
