"""From a spectrum to features, in the integers of TensorFlow Lite Micro's audio front end.

Energies, a mel filter bank, square roots, noise that is estimated and taken away, gains for each channel (PCAN), logarithms.
All of it is exact: sums modulo 2^32 where the device has 32 bits, and single-precision tables that are made here.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.functions import log1p, log2, power

Array = NDArray[Any]
WEIGHT_BITS = 12  # behind the point of a window's and a filter bank's weights
NOISE_BITS = 14  # behind the point of smoothing factors
_SEGMENTS = 128  # of the logarithm's table
_LOG_E = 45426  # ln 2, 16 bits behind the point
_LOW = np.int64(0xFFFFFFFF)
_LN2 = np.float32(0.69313812256), np.float32(9.0580006145e-06)  # the first has few bits, so that k times it is exact


class Bank(NamedTuple):
    """Triangular filters between ``first`` and ``last`` bin of a spectrum: bin first + i lies before channel ``channel[i]``.

    It counts ``rising[i]`` there and ``falling[i]`` in the channel before it, 12 bits behind the point. There are
    ``channels`` of them; what belongs to channel -1 or to the one after the last is left out.
    """

    channels: int
    first: int
    channel: Array
    rising: Array
    falling: Array


def mel(frequency: Array) -> Array:
    """Mel of frequencies in Hz, in single precision as the tables are made (HTK: 1127 ln(1 + f / 700))."""
    return np.asarray(np.float32(1127.0) * _log1p_single(np.asarray(frequency, np.float32) / np.float32(700.0)))


def _log1p_single(x: Array) -> Array:
    """ln(1 + x) of float32 as C libraries compute it, with their rounding errors, which weights at a boundary depend on.

    1 + x = 2^k (1 + f) + what the sum rounded off, c. ln(1 + f) = f - (h - s (h + R)), with h = f^2 / 2, s = f / (2 + f)
    and R what makes it exact; k ln 2 is in two parts. Each operation rounds to single precision.
    """
    single = np.float32
    total = single(1) + x
    mantissa, exponent = np.frexp(total.astype(np.float64))
    small = mantissa < np.float32(0.70710677)
    mantissa, exponent = np.where(small, 2 * mantissa, mantissa), exponent - small
    lost = np.where(exponent >= 1, single(1) - (total - x), x - (total - single(1))) / total
    lost = np.where(exponent == 0, single(0), lost)
    f = np.where(exponent == 0, x, (mantissa - 1).astype(single))
    h = single(0.5) * f * f
    s = f / (single(2) + f)
    share = f.astype(np.float64) / (2 + f.astype(np.float64))
    rest = (log1p(f.astype(np.float64)) / np.where(share == 0, 1, share) - 2 * (share != 0)).astype(single)
    turns = exponent.astype(single)
    value = turns * _LN2[0] - ((h - (s * (h + rest) + (turns * _LN2[1] + lost))) - f)
    return np.asarray(value.astype(single))


def mel_bank(channels: int, bins: int, rate: int, lower: float, upper: float) -> Bank:
    """Filters whose centres lie evenly on the mel scale between two frequencies in Hz, for a spectrum of ``bins``."""
    ends = mel(np.array([lower, upper]))
    spacing = np.float32(ends[1] - ends[0]) / np.float32(channels + 1)
    centres = (ends[0] + spacing * np.arange(1, channels + 2, dtype=np.float32)).astype(np.float32)
    width = np.float32(0.5) * np.float32(rate) / np.float32(bins - 1)
    first = int(np.float32(1.5) + np.float32(lower) / width)
    place = mel(np.arange(first, bins).astype(np.float32) * width)
    place = place[place <= centres[-1]]
    channel = np.searchsorted(centres, place, "left")
    before = np.concatenate([ends[:1], centres])[channel]
    share = (centres[channel] - place) / (centres[channel] - before)
    falling = np.floor(share * np.float32(1 << WEIGHT_BITS) + np.float32(0.5)).astype(np.int64)
    rising = np.floor((np.float32(1.0) - share) * np.float32(1 << WEIGHT_BITS) + np.float32(0.5)).astype(np.int64)
    return Bank(channels, first, channel, rising, falling)


def banked(energy: Array, bank: Bank) -> Array:
    """Sums of each channel (..., channels), uint64, of energies (..., bins)."""
    part = energy[..., bank.first : bank.first + len(bank.channel)].astype(np.uint64)
    sums = np.zeros((*energy.shape[:-1], bank.channels + 2), np.uint64)
    for i, channel in enumerate(bank.channel):  # channel c has its centre at c; it rises before and falls after it
        sums[..., channel] += part[..., i] * np.uint64(bank.falling[i])
        sums[..., channel + 1] += part[..., i] * np.uint64(bank.rising[i])
    return np.asarray(sums[..., 1:-1])


def root(value: Array) -> Array:
    """Square roots of uint64, rounded to nearest; at most 2^32 - 1, and of values below 2^32 at most 2^16 - 1."""
    value = np.asarray(value, np.uint64)
    found = np.floor(np.sqrt(value.astype(np.float64))).astype(np.uint64)
    found = np.minimum(found, np.uint64(0xFFFFFFFF))
    found -= (found * found > value).astype(np.uint64)
    rest = value - found * found
    most = np.where(value >> np.uint64(32), np.uint64(0xFFFFFFFF), np.uint64(0xFFFF))
    return np.asarray(np.minimum(found + (rest > found), most).astype(np.int64))


class Noise(NamedTuple):
    """How noise is estimated and taken away; factors have 14 bits behind the point, ``even`` and ``odd`` by channel."""

    even: int = 409
    odd: int = 983
    least: int = 819
    bits: int = 10


def estimate(signal: Array, state: Array, noise: Noise) -> Array:
    """The next estimate (..., channels), uint32 within int64, of noise, ``bits`` behind the point, from the last one."""
    smoothing = np.where(np.arange(signal.shape[-1]) & 1, noise.odd, noise.even)
    scaled = (signal << noise.bits) & _LOW
    total = scaled * smoothing + state * ((1 << NOISE_BITS) - smoothing)
    return np.asarray((total >> NOISE_BITS) & _LOW)


def subtracted(signal: Array, estimated: Array, noise: Noise) -> Array:
    """The signal less its noise, at least ``least`` of it."""
    scaled = (signal << noise.bits) & _LOW
    rest = (scaled - np.minimum(estimated, scaled)) >> noise.bits
    return np.asarray(np.maximum(rest, (signal * noise.least) >> NOISE_BITS))


class Gain(NamedTuple):
    """Gain of a channel by its noise: a table of 125 entries, and by how much a product is shifted."""

    table: Array
    shift: int


def gain(fft_size: int, bits: int = 10, strength: float = 0.95, offset: float = 80.0, gain_bits: int = 21) -> Gain:
    """Gains 2^gain_bits * (x + offset)^-strength for an estimate x, in pieces of a parabola between powers of two."""
    correction = correction_of(fft_size)
    xs: list[float] = [0, 1]
    for interval in range(2, 33):
        start = 1 << (interval - 1)
        xs += [start, start + (start >> 1), start + start - (1 if interval == 32 else 0)]
    x = np.array(xs, np.float32) / np.float32(1 << (bits - correction))
    y = np.float32(1 << gain_bits) * power((x + np.float32(offset)).astype(np.float64), -float(np.float32(strength)))
    values = np.where(y.astype(np.float32) > 32767, 32767, np.floor(y.astype(np.float32) + np.float32(0.5)))
    y = values.astype(np.int64)
    first, middle, last = y[2:].reshape(-1, 3).T
    slope = 4 * (middle - first) - (last - first)
    pieces = np.stack([first, slope, last - first - slope, np.zeros_like(first)], axis=1)
    return Gain(np.concatenate([y[:2], pieces.ravel()[:-1]]), gain_bits - correction - WEIGHT_BITS)


def correction_of(fft_size: int) -> int:
    """Bits that features have to be shifted up by: those of the transform's size less half of the weights'."""
    return fft_size.bit_length() - 1 - WEIGHT_BITS // 2


def bits_of(value: Array) -> Array:
    """How many bits a value below 2^53 takes, 0 for 0."""
    return np.frexp(np.asarray(value).astype(np.float64))[1].astype(np.int64)


def looked_up(x: Array, table: Array) -> Array:
    """A table of parabolas at x."""
    interval = np.maximum(bits_of(x), 2)
    place = 4 * interval - 6
    fraction = np.where(interval < 11, x << np.maximum(11 - interval, 0), x >> np.maximum(interval - 11, 0)) & 0x3FF
    value = (table[place + 2] * fraction >> 5) + (table[place + 1] << 5)
    value = (value * fraction + (1 << 14)) >> 15
    found = (value + table[place]).astype(np.int16).astype(np.int64)
    return np.where(x <= 2, table[np.minimum(x, 2)], found)


def gained(signal: Array, estimated: Array, gains: Gain) -> Array:
    """The signal times the gain of its noise, compressed to 6 bits behind the point."""
    factor = looked_up(estimated, gains.table)
    snr = ((signal * factor) >> gains.shift) & _LOW
    small = ((snr * snr) & _LOW) >> (2 + 2 * WEIGHT_BITS - 6)
    return np.where(snr < 2 << WEIGHT_BITS, small, (snr >> (WEIGHT_BITS - 6)) - (1 << 6))


@cache
def logarithm_table() -> Array:
    """log2(1 + i / 128) - i / 128, 16 bits behind the point, for i up to 128."""
    i = np.arange(_SEGMENTS + 1) / _SEGMENTS
    return np.floor((log2(1 + i) - i) * 65536 + 0.5).astype(np.int64)


def logarithm(value: Array, correction: int, shift: int) -> Array:
    """ln(value * 2^correction) * 2^shift, rounded, at most 65535; 0 where the value is at most 1."""
    value = (value << correction) & _LOW if correction >= 0 else value >> -correction
    kept = np.maximum(value, 2)
    whole = bits_of(kept) - 1
    rest = kept - (np.int64(1) << whole)
    fraction = np.where(whole < 16, rest << np.maximum(16 - whole, 0), rest >> np.maximum(whole - 16, 0))
    segment = fraction >> 9
    table = logarithm_table()
    rel = ((table[np.minimum(segment + 1, _SEGMENTS)] - table[segment]) * (fraction - (segment << 9))) >> 16
    log = ((whole << 16) + fraction + table[segment] + rel) * _LOG_E
    log = (log + (1 << 15)) >> 16
    return np.where(value > 1, np.minimum(((log << shift) + (1 << 15)) >> 16, 0xFFFF), 0)
