"""How do kernels of single cores requantize as TFLite does? They leave sums of 32 bits, which C scales.

Of the two roundings (``sources.tflite_arithmetic``) little is left where a factor is below a half, so that its exponent
is -n < 0, and where twice a sum fits 32 bits:

    high  = (2 * sum * multiplier + 2^31) >> 32
    q_out = clip((high + (high < 0 ? -1 : 0) + 2^(n - 1) + z_out * 2^n) >> n)
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph import QuantizedLayer, Routine
from ggdq_mcu.operators.shared.tflite_linear import TFLiteLinear

Array = NDArray[Any]
_LARGEST_SHIFT = 22  # the zero point, shifted, leaves room for a sum's high half


class KeptLayer(NamedTuple):
    """A layer in TFLite's arithmetic for kernels that know shifts alone.

    ``plain``: the layer with shifts of zero; ``scaling``: (3 C,) int32, each channel's multiplier, addend and shift;
    ``routine``: C that scales a sum; ``parameters``: its name and the output's bounds, for templates.
    """

    plain: QuantizedLayer
    scaling: Array
    routine: Routine
    parameters: dict[str, Any]


def kept_layer(operator: TFLiteLinear, layer: QuantizedLayer) -> KeptLayer | None:
    """The layer's parts; None where its formats, factors or sums do not allow it."""
    constants, output = layer.constants, layer.output
    if output.storage_bits != 8 or layer.sources[0].storage_bits != 8 or constants["kernel"].dtype != np.int8:
        return None
    if "exponent" not in constants:
        return None
    fixed, varies = _outputs(operator, layer)
    bias, multiplier = (np.where(varies, constants[key], 0) for key in ("bias", "multiplier"))
    shift = np.where(varies, -constants["exponent"], 1)
    bound = operator.accumulator_bound(constants["kernel"], bias, layer.sources[0])
    if shift.min() < 1 or shift.max() > _LARGEST_SHIFT or bound.max() >= 1 << 30:
        return None
    addend = np.where(varies, (1 << shift - 1) + (output.zero_point << shift), 2 * fixed)
    limits = {"low": int(constants["low"]), "high": int(constants["high"]), "type": output.c_type}
    suffix = f"{'s' if output.signed else 'u'}8_{limits['low']}_{limits['high']}".replace("-", "m")
    parameters = {**limits, "suffix": suffix}
    return KeptLayer(
        plain_layer(replace(layer, constants={**constants, "bias": bias})),
        np.column_stack([multiplier, addend, shift]).astype(np.int32).ravel(),
        Routine("routines/tflite_rescaled.c.j2", parameters, 20),
        {"rescaled": f"ggdq_rescaled_{suffix}"},
    )


def _outputs(operator: TFLiteLinear, layer: QuantizedLayer) -> tuple[Array, Array]:
    """The output of each channel at its smallest sum; does any sum give another one?

    Networks in which channels have died have factors for them that are far too small for their biases.
    """
    constants = layer.constants
    products = operator.accumulator_bound(constants["kernel"], np.zeros_like(constants["bias"]), layer.sources[0])
    ends = [constants["bias"] + sign * products for sign in (-1, 1)]
    limits = int(constants["low"]), int(constants["high"])
    first, last = (np.clip(operator.requantized(end, constants) + layer.output.zero_point, *limits) for end in ends)
    return first, first != last


def plain_layer(layer: QuantizedLayer) -> QuantizedLayer:
    """A layer of TFLite's arithmetic whose outputs are its sums."""
    shift = np.zeros(len(layer.constants["bias"]), np.int64)
    return replace(layer, constants={**layer.constants, "shift": shift, "wide": np.array(0)})
