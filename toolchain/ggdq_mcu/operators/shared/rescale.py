"""How does a value change its step by integers alone? A 16-bit multiplier and one shift.

q_out = clip((sum of m_i * q_i + r) >> n)        m_i = round(step_i / step_out * 2^n), r: rounding and zero points
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.operator import Operator, integer_clip
from ggdq_mcu.numerics import functions

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format

Array = NDArray[Any]
_LARGEST = 2.0**15 - 1  # multiplier
_LEAST = 2.0**-64  # ratio that is told from 0


def step_ratio(source: Format, output: Format) -> float:
    """step_in / step_out as one number; channel steps have to be proportional."""
    ratio = np.asarray(source.step, np.float64) / np.asarray(output.step, np.float64)
    if not np.allclose(ratio, ratio.flat[0], rtol=1e-9):
        raise GgdqError("channel steps of input and output are not proportional")
    return float(ratio.flat[0])


def multipliers(ratios: Array, span: float, output: Format, bits: int = 30) -> tuple[Array, int]:
    """Multipliers m (int64, |m| < 2^15) and the shift n (0..30) with m / 2^n nearest to ``ratios``.

    ``span`` bounds the sum of |q| over all terms: the sum of m * q, the zero point and the rounding stay within ``bits`` + 1
    bits. Ratios that are too large for that get the largest multiplier: whatever is not 0 is far outside of the output's range.
    """
    ratios, shifts = _fitting(ratios, span, output, bits)
    shift = int(shifts.min())
    return np.floor(ratios * 2.0**shift + 0.5).astype(np.int64), shift


def channel_multipliers(
    ratios: Array, span: float, output: Format, bits: int = 30, longest: int = 30
) -> tuple[Array, Array]:
    """The same with a shift, at most ``longest``, for each of the ratios > 0; ``span`` bounds |q|."""
    ratios, shifts = _fitting(ratios, span, output, bits, longest)
    return np.floor(ratios * np.ldexp(1.0, shifts) + 0.5).astype(np.int64), shifts


def _fitting(ratios: Array, span: float, output: Format, bits: int, longest: int = 30) -> tuple[Array, Array]:
    """The ratios as far as multipliers can hold them, and the largest shift of each."""
    zero_point = abs(output.zero_point) + 1
    most = min(_LARGEST, (2.0**bits - zero_point) / span)
    ratios = np.clip(np.asarray(ratios, np.float64), -most, most)
    magnitudes = np.abs(ratios)
    if not magnitudes.max() > 0:
        raise GgdqError(f"step ratio {float(magnitudes.max())} cannot be represented")
    by_multiplier = functions.floor_log2(_LARGEST / np.maximum(magnitudes, _LEAST))
    by_accumulator = bits - functions.ceil_log2(magnitudes * span + zero_point)
    return ratios, np.clip(np.minimum(by_multiplier, by_accumulator), 0, longest).astype(np.int64)


def half(shift: int) -> int:
    """What makes the arithmetic shift round half up."""
    return 1 << (shift - 1) if shift else 0


def halves(shift: Array) -> Array:
    """The same for an array of shifts."""
    return np.where(shift > 0, np.int64(1) << np.maximum(shift - 1, 0), 0)


def channel_parameters(
    operator: Operator, constants: Mapping[str, Array], output: Format, wide: bool
) -> tuple[dict[str, Array], dict[str, Any]]:
    """What ``_rescale.j2`` needs for clip((m * value + r) >> n): arrays, and template parameters that are numbers.

    ``constants`` has ``multiplier``, ``offset`` and ``shift``, (C,) or (1,) each; a parameter is None where an array
    has a value for each channel. ``wide``: the sum needs 64 bits.
    """
    types = {"multiplier": np.int16, "offset": np.int64 if wide else np.int32, "shift": np.uint8}
    values: dict[str, Any] = {key: constants[key].astype(kind) for key, kind in types.items()}
    values |= dict(zip(("low", "high"), integer_clip(operator, output), strict=True))
    arrays: dict[str, Array] = {}
    parameters: dict[str, Any] = {"wide": wide}
    channels = max(np.size(value) for value in values.values())
    for key, value in values.items():
        same = bool(np.all(value == np.ravel(value)[0]))
        parameters[key] = int(np.ravel(value)[0]) if same else None
        if not same:
            arrays[key] = np.broadcast_to(value, (channels,)).astype(types.get(key, output.dtype))
    return arrays, parameters
