"""Logarithms of mel spectra, and their cosine transforms (MFCC), of 16-bit samples."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.graph.kernel import Kernel, Routine
from ggdq_mcu.graph.operator import Operator, Shape, integer_clip
from ggdq_mcu.graph.rows import WIDTH, RowWindow
from ggdq_mcu.numerics import functions
from ggdq_mcu.operators.shared import mel, wide_fft
from ggdq_mcu.operators.shared.frames import framed
from ggdq_mcu.operators.shared.signal_bank import bits_of

if TYPE_CHECKING:
    from ggdq_mcu.graph import Format, QuantizedLayer

Array = NDArray[Any]
ROUTINES = (Routine("routines/wide_fft.c.j2", code_bytes=900), Routine("routines/spectrum.c.j2", code_bytes=300))
_TOP = 30  # bits of a frame's values, which are shifted up to them
_POWER_SHIFT = 13  # so that powers of 61 bits times weights fit 64
_FRACTION = 16  # bits behind the point of a logarithm
_SEGMENTS = 128


@dataclass(frozen=True)
class MelSpectrum(Operator):
    """(samples, 1) of 16 bits, standing for q / 32768 -> (frames, bands), or (frames, coefficients) where these are not 0.

    A frame of ``window`` samples every ``step``, times a window ``shape``; its transform of ``size`` points; magnitudes, or
    with ``power`` their squares; ``bands`` mel filters of ``scale`` (shared/mel.py) from ``lowest`` to ``highest`` Hz; the
    logarithm of the sum plus ``floor``, or of at least that where it is not ``added``; natural, or 10 log10 (``decibels``); a
    cosine transform of type 2 to ``coefficients``.

    Integers: windowed frames are shifted up to 30 bits, by ``up``; transformed in 32 bits; sums S of weights of 15 bits have
    64. L = log2(max(1, S + E[up])), 16 bits behind the point, by a table with straight lines between 128 points, less
    2 up (``power``) or up. q_out = clip((B_c + sum of K_cb L_b) >> f_c); without coefficients K is one number.
    """

    rate: int = 16000
    window: int = 480
    step: int = 320
    bands: int = 40
    coefficients: int = 0
    size: int = 512
    lowest: float = 20.0
    highest: float = 4000.0
    shape: str = "hann"
    scale: str = "tf"
    power: bool = False
    decibels: bool = False
    floor: float = 1e-6
    added: bool = True
    orthonormal: bool = False

    @property
    def width(self) -> int:
        """Features of a frame."""
        return self.coefficients or self.bands

    def _details(self) -> str:
        return f" {self.bands} bands, {self.window} samples every {self.step}"

    def output_shape(self, *shapes: Shape) -> Shape:
        samples, one = shapes[0]
        if one != 1 or samples < self.window:
            raise ValueError(f"takes one channel of at least {self.window} samples, not {shapes[0]}")
        if self.size not in (32, 64, 128, 256, 512, 1024, 2048, 4096) or not 1 <= self.window <= self.size:
            raise ValueError("a transform has 32 to 4096 points, a power of 2, and a window at most as many")
        if not 0 <= self.lowest < self.highest <= self.rate / 2 or not 1 <= self.bands <= 256 or self.step < 1:
            raise ValueError("needs 1 to 256 bands between two frequencies of up to half the rate, and a step")
        if self.coefficients > self.bands or self.scale not in mel.SCALES or self.shape not in mel.WINDOWS:
            raise ValueError(f"at most {self.bands} coefficients, a scale of {mel.SCALES}, a window of {mel.WINDOWS}")
        return ((samples - self.window) // self.step + 1, self.width)

    def row_window(self, axis: int, constants: Mapping[str, Array]) -> RowWindow:
        if axis != WIDTH:
            raise ValueError("frames are made of samples along the time")
        return RowWindow(self.window, self.step)

    def compute(self, inputs: Sequence[Array], weights: Mapping[str, Array]) -> Array:
        q = np.clip(np.floor(np.asarray(inputs[0], np.float64) + 0.5), -32768, 32767).astype(np.int64)
        logs = self._logarithms(q, self._tables()) * 2.0**-_FRACTION + self._offset()
        kernel = self._kernel()
        values = logs * kernel if np.ndim(kernel) == 0 else (logs[..., None, :] * kernel).sum(axis=-1)
        return np.asarray(values, np.float32)

    def lower(
        self, weights: Mapping[str, Array], inputs: Sequence[Format], output: Format, shapes: Sequence[Shape]
    ) -> dict[str, Array]:
        if inputs[0].per_channel or (inputs[0].short, inputs[0].step, inputs[0].zero_point) != ("s16", 1, 0):
            raise GgdqError("reads something other than samples of 16 bits", fix="let it read an input of type int16")
        kernel = np.atleast_2d(self._kernel()) / np.broadcast_to(output.step, (self.width,))[:, None]
        scaled = kernel[: 1 if not self.coefficients and not output.per_channel else None] * 2.0**-_FRACTION
        bias = scaled.sum(axis=1) if self.coefficients else scaled[:, 0]
        bias = bias * 2.0**_FRACTION * self._offset() + output.zero_point
        largest = np.abs(scaled).max(axis=1)
        shift = np.clip(functions.floor_log2(32767.0 / np.maximum(largest, 2.0**-60)), 0, 40)
        k = np.clip(np.floor(scaled * np.ldexp(1.0, shift.astype(int))[:, None] + 0.5), -32767, 32767)
        offset = np.floor(bias * np.ldexp(1.0, shift.astype(int)) + 0.5).astype(np.int64)
        offset += np.where(shift > 0, np.int64(1) << np.maximum(shift.astype(np.int64) - 1, 0), 0)
        return self._tables() | {"kernel": k.astype(np.int16), "offset": offset, "shift": shift.astype(np.int64)}

    def _kernel(self) -> Any:
        """From logarithms of base 2 to features: a number, or (coefficients, bands)."""
        base = 10.0 * math.log10(2.0) if self.decibels else functions.LN2
        return mel.cosines(self.coefficients, self.bands, self.orthonormal) * base if self.coefficients else base

    def _tables(self) -> dict[str, Array]:
        bank = mel.filter_bank(self.scale, self.bands, self.size // 2 + 1, self.rate, self.lowest, self.highest)
        weights = np.floor(bank / bank.max() * 32767 + 0.5).astype(np.int64)
        used = [np.flatnonzero(column) for column in weights.T]
        first = np.array([one[0] if len(one) else 0 for one in used])
        count = np.array([one[-1] + 1 - one[0] if len(one) else 0 for one in used])
        parts = [weights[a : a + n, b] for b, (a, n) in enumerate(zip(first, count, strict=True))]
        exponent = np.arange(_TOP + 1) * (2 if self.power else 1) - self._offset()
        floors = np.minimum(self.floor * functions.exp2(exponent), 2.0**62)
        return {
            "window": np.floor(mel.window(self.shape, self.window) * 32767 + 0.5).astype(np.int16),
            "first": first.astype(np.uint16),
            "count": count.astype(np.uint16),
            "weights": np.concatenate(parts).astype(np.uint16),
            "floors": np.floor(floors + 0.5).astype(np.int64),
        }

    def _offset(self) -> float:
        """What log2 of a sum S has less than log2 of the real sum, where nothing was shifted up."""
        bank = mel.filter_bank(self.scale, self.bands, self.size // 2 + 1, self.rate, self.lowest, self.highest)
        bits = math.log2(self.size) - (15 + math.log2(32767))
        scale = float(functions.log2(bank.max() / 32767))
        return 2 * bits + scale + _POWER_SHIFT if self.power else bits + scale

    def _logarithms(self, q: Array, tables: Mapping[str, Array]) -> Array:
        """log2 (N, frames, bands) of the bands' sums, 16 bits behind the point, for samples (N, length, 1)."""
        frames = framed(q[..., 0], self.window, self.step) * tables["window"].astype(np.int64)
        padded = np.zeros((*frames.shape[:2], self.size), np.int64)
        padded[..., : self.window] = frames
        up = np.maximum(_TOP - bits_of(np.abs(frames).max(axis=-1)), 0)
        spectrum = wide_fft.real_transform(padded << up[..., None], self.size)
        power = (spectrum**2).sum(axis=-1)
        values = power >> _POWER_SHIFT if self.power else magnitude(power)
        sums = np.zeros((*up.shape, self.bands), np.int64)
        place = 0
        for band, (first, count) in enumerate(zip(tables["first"].tolist(), tables["count"].tolist(), strict=True)):
            weights = tables["weights"][place : place + count].astype(np.int64)
            sums[..., band] = (values[..., first : first + count] * weights).sum(axis=-1)
            place += count
        floors = tables["floors"][up][..., None]
        sums = sums + floors if self.added else np.maximum(sums, floors)
        logs = binary_logarithm(np.maximum(sums, 1)) - (up[..., None] * (2 if self.power else 1) << _FRACTION)
        return np.asarray(logs)

    def compute_integer(
        self, inputs: Sequence[Array], constants: Mapping[str, Array], formats: Sequence[Format], output: Format
    ) -> Array:
        logs = self._logarithms(inputs[0].astype(np.int64), constants)
        kernel = constants["kernel"].astype(np.int64)
        total = (logs[..., None, :] * kernel).sum(axis=-1) if self.coefficients else logs * kernel[:, 0]
        low, high = integer_clip(self, output)
        result: Array = np.clip((total + constants["offset"]) >> constants["shift"], low, high).astype(output.dtype)
        return result

    def kernels(self, layer: QuantizedLayer) -> list[Kernel]:
        constants, frames, half = layer.constants, layer.shape[0], self.size // 2
        low, high = (np.asarray(one, np.int64) for one in integer_clip(self, layer.output))
        names = ("window", "first", "count", "weights", "floors", "kernel", "offset")
        arrays = {key: constants[key] for key in names} | {"shift": constants["shift"].astype(np.uint8)}
        arrays |= wide_fft.tables(half) | {"logarithms": logarithm_table()}
        arrays |= {} if self.power else {"roots": root_table()}
        arrays |= {"lows": low, "highs": high} if low.size + high.size > 2 else {}
        parameters = {
            "half": half,
            "frames": frames,
            "low": int(low.flat[0]),
            "high": int(high.flat[0]),
            "clips": low.size + high.size > 2,
            "single": len(constants["kernel"]) == 1 and not self.coefficients,
            "power_shift": _POWER_SHIFT,
            "bins": _used(constants),
        }
        bins = len(constants["weights"])
        each = 14.0 * self.window + wide_fft.cost(half) + (12.0 if self.power else 45.0) * half
        each += (14.0 if self.power else 7.0) * bins + 70.0 * self.bands + 8.0 * self.coefficients * self.bands
        scratch = 8 * (half + 1) + 4 * self.bands
        template = f"operators/{self.name}.c.j2"
        return [Kernel("portable", template, parameters, arrays, scratch, frames * each, ROUTINES, code_bytes=700)]


def _used(constants: Mapping[str, Array]) -> tuple[int, int]:
    """The first bin that a filter reads, and the one behind the last."""
    first, count = (constants[key].astype(np.int64)[constants["count"] > 0] for key in ("first", "count"))
    return int(first.min()), int((first + count).max())


def root_table() -> Array:
    """Square roots of i / 256 for i from 64 to 256, 16 bits behind the point, the largest less by one."""
    return np.minimum(np.floor(np.sqrt(np.arange(64, 257) / 256) * 65536 + 0.5), 65535).astype(np.uint16)


def magnitude(power: Array) -> Array:
    """Square roots of integers below 2^62, to about 16 bits: by a table, and straight lines between its points."""
    table, bits = root_table().astype(np.int64), bits_of(power >> 1) + 1  # a conversion to float64 may round up
    bits -= (np.int64(1) << np.minimum(bits - 1, 62)) > power
    shift = (np.maximum(bits, 2) + 1) // 2  # of the root
    scaled = np.where(shift >= 12, power >> np.maximum(2 * shift - 24, 0), power << np.maximum(24 - 2 * shift, 0))
    place, rest = scaled >> 16, scaled & 0xFFFF
    place = np.maximum(place, 64) - 64
    root = table[place] + (((table[np.minimum(place + 1, 192)] - table[place]) * rest) >> 16)
    root = np.where(shift >= 16, root << np.maximum(shift - 16, 0), root >> np.maximum(16 - shift, 0))
    return np.where(power > 3, root, np.minimum(power, 1))


def logarithm_table() -> Array:
    """log2(1 + i / 128), 16 bits behind the point, for i up to 128; the last is 1 less than 1."""
    table = np.floor(functions.log2(1 + np.arange(_SEGMENTS + 1) / _SEGMENTS) * 65536 + 0.5)
    return np.minimum(table, 65535).astype(np.uint16)


def binary_logarithm(x: Array) -> Array:
    """log2 of positive integers below 2^63, 16 bits behind the point: by a table, and straight lines between its points."""
    table = logarithm_table().astype(np.int64)
    whole = bits_of(x) - 1
    whole -= (np.int64(1) << whole.clip(0, 62)) > x  # where the conversion to float64 rounded up
    scaled = np.where(whole >= 23, x >> np.maximum(whole - 23, 0), x << np.maximum(23 - whole, 0)) - (1 << 23)
    place, rest = scaled >> 16, scaled & 0xFFFF
    between = ((table[place + 1] - table[place]) * rest) >> 16
    return np.asarray((whole << _FRACTION) + table[place] + between)
