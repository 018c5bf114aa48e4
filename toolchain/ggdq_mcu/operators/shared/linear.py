"""What do convolution, depthwise convolution and dense layers have in common? Weights, a bias, one shift, one saturation.

The integer meaning (the specification; every implementation equals it):

    w_q   = saturate(round(W * step_in / step_out * 2^f))          f: fraction length of the output channel
    acc   = B + sum of w_q * q_in                                  padding positions hold the integer of padding_value
    q_out = clip(acc >> f)                                         arithmetic shift; the clip is the activation
    B     = round(b / step_out * 2^f) - z_in * sum of w_q + 2^(f - 1) + (z_out << f)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.bounds import Bounds
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.operator import Operator, integer_clip
from ggdq_mcu.graph.overlap import Overlap
from ggdq_mcu.numerics import functions

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
_ACCUMULATOR_LIMIT, _WIDE_LIMIT = 2**31 - 1, 2**62
_LONGEST = 31  # fraction bits: what a shift of 32 bits undoes, should the sums turn out to fit them


@dataclass(frozen=True, kw_only=True)
class Linear(Operator):
    """Base of the operators whose output is linear in the input.

    Weights: ``kernel`` (its shape is the operator's business) and, optionally, ``bias`` (output channels,).
    Integer constants: ``kernel`` (same shape, int8 or int16), ``bias`` (int64, fits int32 where ``wide`` is 0),
    ``shift`` (int64, per output channel), ``wide`` (1 where the sum needs 64 bits).
    ``padding_value`` is the real value of what is padded: 0, unless a pass folded an offset into the layer.
    """

    padding_value: float = 0.0

    fuses_clip: ClassVar[bool] = True
    takes_channel_steps: ClassVar[bool] = True
    #: Instructions of the portable kernel for a product of 8-bit weights.
    portable_cost: ClassVar[int] = 7

    @property
    def gives_channel_steps(self) -> bool:
        return True

    def _outside(self) -> str:
        return f", padded with {self.padding_value:g}" if self.padding_value else ""

    def accumulate(self, image: Array, kernel: Array, padding_value: float) -> Array:
        """Sums of products for a batch by BLAS, for whole numbers whose sums are exact; no bias, no clip."""
        raise NotImplementedError

    def sums(self, image: Array, kernel: Array, padding_value: float) -> Array:
        """Sums of products for a batch of real numbers, of the same bits everywhere, in the arguments' floating type."""
        raise NotImplementedError

    def columns(self, image: Array, padding_value: float, rows: slice = slice(None)) -> list[Array]:
        """For each group of channels, the values (N, ..., K) that the K products of an output position read.

        ``rows`` are the output rows that are wanted, where the output has rows.
        """
        raise NotImplementedError

    def grouped(self, kernel: Array) -> Array:
        """The kernel as matrices (groups, K, output channels of a group): output = columns @ matrix, group by group."""
        raise NotImplementedError

    def ungrouped(self, matrices: Array) -> Array:
        """Inverse of ``grouped``."""
        raise NotImplementedError

    def by_output(self, kernel: Array) -> Array:
        """The kernel as one matrix (K, output channels)."""
        matrices = self.grouped(kernel)
        return matrices.transpose(1, 0, 2).reshape(matrices.shape[1], -1)

    def input_step(self, kernel: Array, step: Array) -> Array:
        """The input's channel steps (C_in,) shaped so that they multiply ``kernel``."""
        raise NotImplementedError

    def output_step(self, kernel: Array, step: Array) -> Array:
        """Values of the output channels (C_out,) shaped so that they multiply ``kernel``."""
        raise NotImplementedError

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        total = self.sums(inputs[0], weights["kernel"], self.padding_value)
        if "bias" in weights:
            total = total + weights["bias"]
        return self.clip(total)

    def padding_integer(self, source: Format) -> int:
        """The input's integer that stands for ``padding_value``: the nearest, the zero point for 0."""
        if self.padding_value == 0:
            return source.zero_point
        if source.per_channel:
            raise GgdqError(f"pads with {self.padding_value:g} where the input has channel steps")
        return int(source.quantize(np.array(self.padding_value)))

    def folded(self, weights: Mapping[str, Array], source: Format, output: Format) -> tuple[Array, Array]:
        """Kernel W * step_in / step_out and bias b / step_out: the layer between the integers of its input and output."""
        kernel = np.asarray(weights["kernel"], np.float64)
        ratio = self.input_step(kernel, np.asarray(source.step)) / self.output_step(kernel, np.asarray(output.step))
        channels = self.by_output(kernel).shape[1]
        bias = np.asarray(weights.get("bias", np.zeros(channels)), np.float64) / output.step
        return kernel * ratio, np.broadcast_to(bias, (channels,))

    def integers(
        self,
        weights: Mapping[str, Array],
        source: Format,
        output: Format,
        shift: Array,
        weight_bits: int,
        rounded: Array | None = None,
    ) -> dict[str, Array]:
        """Integer constants for fraction lengths ``shift`` (C_out,).

        A fraction length is lowered where bias and rounding would not fit 31 bits or, with inputs or weights of more than 8
        bits, 62: these have sums of 64 bits rather than coarser weights. ``rounded`` gives the integers of the kernel where
        something better than rounding to nearest has chosen them.
        """
        kernel, bias = self.folded(weights, source, output)
        if not (np.all(np.isfinite(kernel)) and np.all(np.isfinite(bias))):
            raise GgdqError("weights are not finite after folding the steps")
        largest = np.maximum(np.abs(bias) + abs(output.high) + abs(output.zero_point), 1)
        limit = _WIDE_LIMIT if source.bits > 8 or weight_bits > 8 else _ACCUMULATOR_LIMIT
        room = np.minimum(functions.floor_log2(limit / 4 / largest), _LONGEST)
        shift = np.clip(np.broadcast_to(shift, bias.shape), 0, room).astype(np.int64)
        if rounded is None:
            rounded = np.floor(kernel * self.output_step(kernel, np.ldexp(1.0, shift)) + 0.5)
        integers = np.clip(rounded, *weight_limits(weight_bits)).astype(np.int8 if weight_bits <= 8 else np.int16)
        sums = self.by_output(integers.astype(np.int64)).sum(axis=0)
        half = np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)
        constant = np.floor(bias * np.ldexp(1.0, shift) + 0.5).astype(np.int64)
        constant = constant - source.zero_point * sums + half + (np.int64(output.zero_point) << shift)
        wide = self.accumulator_bound(integers, constant, source).max(initial=0) > _ACCUMULATOR_LIMIT
        return {"kernel": integers, "bias": constant, "shift": shift, "wide": np.array(int(wide))}

    def accumulator_bound(self, kernel: Array, bias: Array, source: Format) -> Array:
        """Largest magnitude (C_out,) that the sum can take for any input, after any number of its products."""
        columns = self.by_output(kernel.astype(np.int64))
        largest = np.maximum(columns * source.low, columns * source.high)
        smallest = np.minimum(columns * source.low, columns * source.high)
        upper = bias + np.maximum(largest, 0).sum(axis=0)
        lower = bias + np.minimum(smallest, 0).sum(axis=0)
        bound: Array = np.maximum(np.abs(upper), np.abs(lower))
        return bound

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        # Floating point is exact here, because every partial sum is an integer below 2^24 or 2^53, and BLAS is fast.
        products = self.accumulator_bound(constants["kernel"], np.zeros(1, np.int64), formats[0]).max(initial=0)
        real = np.float32 if products < 1 << 24 else np.float64
        image, kernel = inputs[0].astype(real), constants["kernel"].astype(real)
        total = (
            self.accumulate(image, kernel, float(self.padding_integer(formats[0]))).astype(np.int64) + constants["bias"]
        )
        low, high = integer_clip(self, output)
        result: Array = np.clip(total >> constants["shift"], low, high).astype(output.dtype)
        return result

    def bounds(
        self,
        inputs: Sequence[Bounds],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        shapes: Sequence[tuple[int, ...]],
    ) -> Bounds:
        kernel, padding = constants["kernel"].astype(np.float64), float(self.padding_integer(formats[0]))
        smallest, largest = (end.astype(np.float64) for end in inputs[0])
        above, below = np.maximum(kernel, 0), np.minimum(kernel, 0)
        ends = []
        for first, second in ((smallest, largest), (largest, smallest)):
            products = self.accumulate(first, above, padding) + self.accumulate(second, below, padding)
            total = products.astype(np.int64) + constants["bias"]
            ends.append(np.clip(total >> constants["shift"], *integer_clip(self, output)).astype(output.dtype))
        return Bounds(*ends)

    @property
    def mixes_channels(self) -> bool:
        """Is an output channel a sum over all channels of the input, with a kernel (..., C_in, C_out)?"""
        return False

    def with_channels(
        self,
        constants: Mapping[str, Array],
        inputs: Sequence[Array],
        output: Array,
        shapes: Sequence[tuple[int, ...]],
    ) -> tuple[Operator, Mapping[str, Array]]:
        kernel = constants["kernel"][..., inputs[0], :][..., output]
        return self, {**constants, "kernel": kernel, **{key: constants[key][output] for key in ("bias", "shift")}}

    def by_channel(self, kernel: Array) -> Array:
        """The integer kernel in the order in which the portable C reads it: output channel by output channel."""
        return np.ascontiguousarray(self.by_output(kernel).T)

    def portable_overlap(self, layer: QuantizedLayer) -> Overlap:
        """Where the portable kernel, which computes one output element after the other, may write over the input."""
        raise NotImplementedError

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        arrays, parameters = requantization(self, layer)
        bits = packed_bits(layer.constants["kernel"])
        routines = (Routine("routines/packed_weight.c.j2", {"bits": bits}),) if bits < 8 else ()
        arrays = {"weights": pack(self.by_channel(layer.constants["kernel"]), bits), **arrays}
        overlaps = {0: self.portable_overlap(layer)}
        parameters["weight_bits"] = bits
        template = f"operators/{self.name}.c.j2"
        macs, outputs = self.macs(layer.shapes), int(np.prod(layer.shape))
        cost = (self.portable_cost + (0 if bits >= 8 else 5)) * macs + 20 * outputs
        return [Kernel("portable", template, parameters, arrays, 0, cost, routines, overlaps)]


def weight_limits(bits: int) -> tuple[int, int]:
    """Smallest and largest integer weight. -128 is left out: pairs of bytes then fit 16 bits, as the fastest kernels want."""
    limit = 1 << (bits - 1)
    return (1 - limit if bits == 8 else -limit), limit - 1


def packed_bits(kernel: Array) -> int:
    """In how many bits, 2 or 4, all weights of an integer kernel fit; else those of its type."""
    return next((bits for bits in (2, 4) if _fits(kernel, bits)), kernel.dtype.itemsize * 8)


def _fits(kernel: Array, bits: int) -> bool:
    limit = 1 << (bits - 1)
    return bool(np.all((kernel >= -limit) & (kernel < limit)))


def pack(weights: Array, bits: int) -> Array:
    """Weights of 2 or 4 bits in bytes (uint8), lowest bits first; wider ones as they are.

    >>> pack(np.array([1, -1, -8], np.int8), 4).tolist()
    [241, 8]
    """
    if bits >= 8:
        return weights
    count = 8 // bits
    flat = weights.astype(np.uint8).ravel() & ((1 << bits) - 1)
    fields = np.pad(flat, (0, -len(flat) % count)).reshape(-1, count)
    return np.asarray((fields << (bits * np.arange(count))).sum(axis=1), np.uint8)


def requantization(operator: Linear, layer: QuantizedLayer) -> tuple[dict[str, Array], dict[str, Any]]:
    """What every kernel of a linear layer needs beside its weights: arrays and template parameters.

    Arrays: ``bias``; ``shift`` unless all channels share one; ``low`` and ``high`` unless they are one number each.
    Parameters: ``accumulator`` (C type), ``shift``, ``low``, ``high`` (numbers, or None where an array says it),
    ``padding_value`` (the integer that padding holds).
    """
    wide = bool(layer.constants["wide"])
    arrays: dict[str, Array] = {"bias": layer.constants["bias"].astype(np.int64 if wide else np.int32)}
    parameters: dict[str, Any] = {
        "accumulator": "int64_t" if wide else "int32_t",
        "padding_value": operator.padding_integer(layer.sources[0]),
    }
    shifts = layer.constants["shift"]
    uniform = bool(np.all(shifts == shifts[0]))
    parameters["shift"] = int(shifts[0]) if uniform else None
    if not uniform:
        arrays["shift"] = shifts.astype(np.uint8)
    for key, bound in zip(("low", "high"), integer_clip(operator, layer.output), strict=True):
        parameters[key] = bound if isinstance(bound, int) else None
        if not isinstance(bound, int):
            arrays[key] = np.broadcast_to(bound, shifts.shape).astype(layer.output.dtype)
    return arrays, parameters
