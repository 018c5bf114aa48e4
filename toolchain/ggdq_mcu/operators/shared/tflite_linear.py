"""What do TFLite's convolutions and dense layers share? The sums of ours, and a requantization of their own.

    acc   = bias + sum of (w_q - z_w) * (q_in - z_in)
    q_out = clip(scaled(acc) + z_out)                     scaled by step_in * step_w / step_out of the output channel

Constants: ``kernel`` (w_q - z_w, in the operator's own order), ``bias`` (with -z_in * sum of the kernel in it),
``multiplier`` and ``exponent`` (output channels,), ``low`` and ``high``. Where there is ``shift`` instead of an exponent,
sums are scaled as ``scaled_once`` does, or, with ``wide``, sums of 64 bits as ``scaled_wide`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.operators.shared.linear import Linear
from ggdq_mcu.sources.tflite import TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import (
    LARGEST,
    SCALED,
    SCALED_ONCE,
    SCALED_WIDE,
    multipliers,
    multipliers_once,
    multipliers_wide,
    scaled,
    scaled_once,
    scaled_wide,
)
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, bounds, check_scales, format_of, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]


class TFLiteLinear(Linear):
    """Base of the linear operators with TFLite's requantization."""

    #: The operator whose portable template computes the sums.
    template: ClassVar[str]

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        kernel, source = constants["kernel"], formats[0]
        products = self.accumulator_bound(kernel, np.zeros(1, np.int64), source).max(initial=0)
        real = np.float32 if products < 1 << 24 else np.float64  # exact: see Linear
        sums = self.accumulate(inputs[0].astype(real), kernel.astype(real), float(source.zero_point))
        total = sums.astype(np.int64) + constants["bias"]
        q = self.requantized(total, constants) + output.zero_point
        result: Array = np.clip(q, int(constants["low"]), int(constants["high"])).astype(output.dtype)
        return result

    def requantized(self, total: Array, constants: Mapping[str, Array]) -> Array:
        """The sums in the output's step."""
        if "shift" not in constants:
            return scaled(total, constants["multiplier"], constants["exponent"])
        if "wide" in constants:
            return scaled_wide(total, constants["multiplier"], constants["shift"])
        return scaled_once(total, constants["multiplier"], constants["shift"])

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        constants = layer.constants
        scaling = "scaled" if "shift" not in constants else "scaled_wide" if "wide" in constants else "scaled_once"
        once, wide = scaling == "scaled_once", scaling == "scaled_wide"
        places = {"exponent": np.int8} if scaling == "scaled" else {"shift": np.uint8}
        kinds = {"bias": np.int64 if wide else np.int32, "multiplier": np.int64 if once else np.int32, **places}
        arrays = {key: constants[key].astype(kind) for key, kind in kinds.items()}
        parameters = {
            "accumulator": "int64_t" if wide else "int32_t",
            "padding_value": layer.sources[0].zero_point,
            "weight_bits": constants["kernel"].dtype.itemsize * 8,
            "shift": scaling,
            "low": int(constants["low"]),
            "high": int(constants["high"]),
        }
        outputs = int(np.prod(layer.shape))
        cost = self.portable_cost * self.macs(layer.shapes) + 40 * outputs
        arrays = {"weights": self.by_channel(constants["kernel"]), **arrays}
        overlaps = {0: self.portable_overlap(layer)}
        routines = ({"scaled": SCALED, "scaled_once": SCALED_ONCE, "scaled_wide": SCALED_WIDE}[scaling],)
        name = f"operators/{self.template}.c.j2"
        return [Kernel("portable", name, parameters, arrays, 0, cost, routines, overlaps)]


def scaling_constants(factors: Array, bounds: Array, wide: bool, once: bool) -> dict[str, Array] | None:
    """Constants that scale sums of magnitudes up to ``bounds`` (C,) by ``factors`` (C,); None where there are none.

    ``wide``: sums of 64 bits; ``once``: as double precision rounds.
    """
    if wide:
        m, shift = multipliers_wide(factors)
        fits = bounds.max(initial=0) < 1 << 47 and shift.min(initial=62) >= 1 and shift.max(initial=0) <= 62
        return {"multiplier": m, "shift": shift, "wide": np.array(1)} if fits else None
    if once:
        found = multipliers_once(factors, bounds)
        return None if found is None or bounds.max(initial=0) > LARGEST else {"multiplier": found[0], "shift": found[1]}
    m, e = multipliers(factors)
    return {"multiplier": m, "exponent": e} if (bounds << np.maximum(e, 0)).max(initial=0) <= LARGEST else None


def keep(
    op: TFLiteOperator,
    operator: TFLiteLinear,
    arrange: Callable[[Array], Array],
    double: bool,
    bias: int = 2,
    phases: int = 1,
    once: bool = False,
) -> Kept:
    """A linear operator with constant weights; ``arrange`` brings them into the operator's order, output channels last.

    ``double``: is the product of the steps rounded to double, not to single precision? ``bias``: which input is it?
    ``phases``: how many output channels does a channel of the file become? ``once``: are sums multiplied in double
    precision, and rounded once?
    """
    source, output = format_of(op, op.data), format_of(op, op.outputs[0])
    filters = op.tensor(1)
    if not filters.quantized or filters.dtype.itemsize != 1:
        raise op.error("its weights are no 8-bit integers", WITHOUT)
    check_scales(op, filters)
    centred = op.raw(1).astype(np.int64) - filters.by_axis(filters.zero_points)
    kernel = arrange(centred)
    kernel = kernel.astype(np.int8 if np.abs(kernel).max(initial=0) < 1 << 7 else np.int16)
    matrix = operator.by_output(kernel.astype(np.int64))
    channels = matrix.shape[1] // phases
    added = op.raw(bias).astype(np.int64).reshape(-1) if op.has(bias) else np.zeros(1, np.int64)
    if added.size not in (1, channels) or filters.scales.size not in (1, channels):
        raise op.error(f"{added.size} biases and {filters.scales.size} scales do not fit {channels} channels")
    factors = np.broadcast_to(step_ratios(source, filters.scales, output, double), (phases, channels)).ravel()
    folded = np.broadcast_to(added, (phases, channels)).ravel() - source.zero_point * matrix.sum(axis=0)
    biases = op.tensor(bias).dtype if op.has(bias) else np.dtype(np.int64 if source.bits > 8 else np.int32)
    if biases not in (np.int32, np.int64) or (biases == np.int64 and source.bits <= 8):
        raise op.error(f"its bias of type {biases} cannot be kept", WITHOUT)
    largest = operator.accumulator_bound(kernel, folded, source)
    scaling = scaling_constants(factors, largest, biases == np.int64, once)
    if scaling is None:
        raise op.error("its sums may exceed 32 bits, or no integer multiplies them as TFLite does", WITHOUT)
    fields, clip = bounds(op)
    real = {key: np.tile(value, phases) for key, value in op.bias(channels, bias).items()}
    weights = {"kernel": arrange(op.constant(1)), **real}
    constants = {"kernel": kernel, "bias": folded, **scaling, **clip}
    return kept(op, replace(operator, **fields), constants, weights)


def step_ratios(source: Format, scales: Array, output: Format, double: bool) -> Array:
    """step_in * step_w / step_out, as TFLite computes it."""
    step, scale = np.float32(source.step), scales.astype(np.float32)
    products = step.astype(np.float64) * scale if double else (step * scale).astype(np.float64)
    return np.asarray(products / float(output.step))
