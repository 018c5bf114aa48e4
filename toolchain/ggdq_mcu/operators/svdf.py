"""Layers of a rank-limited filter over time (SVDF): features of the input, kept for some steps, and their weighted sums."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph import Node
from ggdq_mcu.graph.kernel import Kernel
from ggdq_mcu.graph.operator import Operator, Shape
from ggdq_mcu.sources.tflite import CLIPS, TFLiteOperator
from ggdq_mcu.sources.tflite_arithmetic import LARGEST, SCALED, multipliers, scaled
from ggdq_mcu.sources.tflite_kept import WITHOUT, Kept, check_scales, format_of, kept

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format
    from ggdq_mcu.graph.layer import QuantizedLayer

Array = NDArray[Any]


def from_tflite(op: TFLiteOperator) -> list[Node]:
    """SVDF, whose state is a variable tensor: an inference goes on where the last one ended."""
    operator, weights = _read(op)
    return [op.node(operator, weights)]


def keep_tflite(op: TFLiteOperator) -> list[Kept]:
    """SVDF of 8-bit features, with a state of 8 or 16 bits, as TensorFlow Lite Micro computes it."""
    operator, weights = _read(op)
    if not op.micro:
        raise op.error("the desktop's arithmetic of it cannot be kept", "use --keep-quantization without =reference")
    source, state, output = format_of(op, op.data), format_of(op, op.tensor(4)), format_of(op, op.outputs[0])
    for position in (1, 2):
        tensor = op.tensor(position)
        if tensor.scales.size != 1 or np.any(tensor.zero_points) or tensor.dtype.kind != "i":
            raise op.error("its weights have more than one scale, or zero points", WITHOUT)
        check_scales(op, tensor)
    if source.bits != 8 or output.bits != 8 or op.raw(2).dtype.itemsize * 8 != state.bits:
        raise op.error("its formats are not those of 8-bit networks", WITHOUT)
    first, second = (np.float32(op.tensor(position).scales[0]) for position in (1, 2))
    features, times = op.raw(1).astype(np.int64), op.raw(2).astype(np.int64)
    bias = op.raw(3).astype(np.int64) if op.has(3) else np.zeros(operator.units, np.int64)
    m, e = multipliers(
        [
            float(np.float32(source.step) * first / np.float32(state.step)),
            float(np.float32(state.step) * second / np.float32(output.step)),
        ]
    )
    largest = max(255 * int(np.abs(features).sum(axis=1).max()), 0)
    if largest << max(int(e[0]), 0) > LARGEST or e[1] > 0 or np.abs(times).max() * 2.0**state.bits > LARGEST + 1:
        raise op.error("its sums may exceed 32 bits, which cannot be kept", WITHOUT)
    constants = {
        "features": op.raw(1),
        "times": op.raw(2),
        "offset": -source.zero_point * features.sum(axis=1),
        "bias": bias,
        "multiplier": m,
        "exponent": e,
        "state_format": np.array([state.bits, state.zero_point]),
    }
    return [kept(op, operator, constants, weights)]


def _read(op: TFLiteOperator) -> tuple[SVDF, dict[str, Array]]:
    features, times, rank = op.constant(1), op.constant(2), op.integer("Rank")
    filters = len(features)
    fits = features.ndim == times.ndim == 2 and len(times) == filters and filters % rank == 0
    if not fits or op.shape != features.shape[1:] or not op.tensor(4).variable:
        raise op.error(f"its weights {features.shape} and {times.shape} do not fit an input {op.data.shape}")
    if op.activation not in ("NONE", "RELU"):
        raise op.error(f"activation {op.activation} is not supported", "use RELU or none")
    units = filters // rank
    low, high = CLIPS[op.activation]
    bias = op.bias(units, 3).get("bias", np.zeros(units, np.float32))
    operator = SVDF(units, times.shape[1], low=low, high=high)
    return operator, {"features": features, "times": times, "bias": bias}


@dataclass(frozen=True)
class SVDF(Operator):
    """(C,) -> (units,): filters f of the input, kept for ``steps`` inferences, and sums over time and over a unit's filters.

    Weights ``features`` (F, C), ``times`` (F, steps), the latest last, ``bias`` (units,). In integers, as TensorFlow Lite
    Micro: s_f = clip(scaled(features_f * x + offset_f) + z_s), of 8 or 16 bits;
    q_out = clip(scaled(bias + sum of times * (s - z_s)) + z_out). Constants ``multiplier`` and ``exponent`` (2,),
    ``state_format``: bits and z_s. Sums over time are modulo 2^32.
    """

    units: int
    steps: int

    tflite_operators: ClassVar[Mapping[str, Callable[..., Any]]] = {"SVDF": from_tflite}
    tflite_kept: ClassVar[Mapping[str, Callable[..., Any]]] = {"SVDF": keep_tflite}

    @property
    def keeps_state(self) -> bool:
        return True

    def _details(self) -> str:
        return f" {self.units} units, {self.steps} steps"

    def output_shape(self, *shapes: Shape) -> Shape:
        if len(shapes[0]) != 1:
            raise ValueError(f"takes a vector, not {shapes[0]}")
        return (self.units,)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        latest = inputs[0] @ weights["features"].T * weights["times"][:, -1]
        sums = latest.reshape(len(latest), self.units, -1).sum(axis=2) + weights["bias"]
        return self.clip(sums.astype(inputs[0].dtype))

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        raise GgdqError(
            "an SVDF layer keeps its features from one inference to the next, and samples do not show what they come to hold",
            fix="build a quantized file with --keep-quantization",
        )

    def advance(
        self,
        inputs: Sequence[Array],
        constants: Mapping[str, Array],
        formats: Sequence[Format],
        output: Format,
        state: Any,
    ) -> tuple[Array, Any]:
        (m, e), (bits, zero) = (constants["multiplier"], constants["exponent"]), constants["state_format"].tolist()
        times = constants["times"].astype(np.int64)
        if state is None:  # without the zero point
            state = np.zeros((len(inputs[0]), *times.shape), np.int64)
        sums = inputs[0].astype(np.int64) @ constants["features"].T.astype(np.int64) + constants["offset"]
        half = 1 << bits - 1
        latest = np.clip(scaled(sums, m[0], e[0]) + zero, -half, half - 1) - zero
        state = np.concatenate([state[:, :, 1:], latest[:, :, None]], axis=2)
        total = (state * times).sum(axis=2).reshape(len(state), self.units, -1).sum(axis=2) + constants["bias"]
        total = total.astype(np.int32).astype(np.int64)
        q = scaled(total, m[1], e[1]) + output.zero_point
        return np.clip(q, output.low, output.high).astype(output.dtype), state

    def macs(self, shapes: Sequence[Shape]) -> int:
        return 0

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        constants = layer.constants
        bits, zero = constants["state_format"].tolist()
        arrays = {key: constants[key] for key in ("features", "times")}
        arrays |= {key: constants[key].astype(np.int32) for key in ("offset", "bias")}
        filters = len(constants["times"])
        parameters = {
            "multiplier": constants["multiplier"].tolist(),
            "exponent": constants["exponent"].tolist(),
            "bits": bits,
            "zero": zero,
            "filters": filters,
        }
        cost = 5.0 * (constants["features"].size + 2 * constants["times"].size) + 60 * filters
        size = filters * self.steps * bits // 8
        template = f"operators/{self.name}.c.j2"
        return [Kernel("portable", template, parameters, arrays, 0, cost, (SCALED,), state_bytes=size)]
