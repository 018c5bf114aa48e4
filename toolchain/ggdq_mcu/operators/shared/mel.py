"""Mel filter banks, windows and cosine transforms as the libraries have them that networks are trained with. Float64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.numerics.circular import cos
from ggdq_mcu.numerics.functions import exp, log

Array = NDArray[Any]
SCALES = ("tf", "htk", "slaney")
WINDOWS = ("hann", "hamming", "ones")
_BREAK, _LINEAR, _LOGARITHMIC = 1000.0, 200.0 / 3.0, 27.0 / math.log(6.4)  # of Slaney's scale: Hz, Hz a mel, mels an e


def filter_bank(scale: str, bands: int, bins: int, rate: int, lowest: float, highest: float) -> Array:
    """Weights (bins, bands) of triangular filters for a spectrum of ``bins`` from 0 to half the rate.

    "tf": triangles on the mel scale (HTK), as tf.signal.linear_to_mel_weight_matrix; "htk": triangles in Hz, as torchaudio;
    "slaney": Slaney's scale, each filter of the same area, as librosa.
    """
    frequencies = np.linspace(0.0, rate / 2, bins)
    ends = _mel(np.array([lowest, highest]), scale)
    mels = np.linspace(float(ends[0]), float(ends[1]), bands + 2)
    edges, places = (mels, _mel(frequencies, scale)) if scale == "tf" else (_hertz(mels, scale), frequencies)
    below, centre, above = edges[:-2], edges[1:-1], edges[2:]
    rising = (places[:, None] - below) / (centre - below)
    falling = (above - places[:, None]) / (above - centre)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    if scale == "tf":
        weights[0] = 0.0
    return np.asarray(weights * (2.0 / (above - below)) if scale == "slaney" else weights)


def _mel(frequency: Array, scale: str) -> Array:
    if scale != "slaney":
        return np.asarray(1127.0 * log(1.0 + frequency / 700.0))
    above = _BREAK / _LINEAR + _LOGARITHMIC * log(np.maximum(frequency, _BREAK) / _BREAK)
    return np.where(frequency < _BREAK, frequency / _LINEAR, above)


def _hertz(mels: Array, scale: str) -> Array:
    if scale != "slaney":
        return np.asarray(700.0 * (exp(mels / 1127.0) - 1.0))
    above = _BREAK * exp((mels - _BREAK / _LINEAR) / _LOGARITHMIC)
    return np.where(mels < _BREAK / _LINEAR, mels * _LINEAR, above)


def window(name: str, count: int) -> Array:
    """A periodic window (count,) between 0 and 1."""
    turn = 2.0 * math.pi * np.arange(count) / count
    share = {"hann": 0.5, "hamming": 0.54, "ones": 1.0}[name]
    return np.asarray(share - (1.0 - share) * cos(turn))


def cosines(coefficients: int, bands: int, orthonormal: bool) -> Array:
    """Weights (coefficients, bands) of a discrete cosine transform of type 2, times sqrt(2 / bands).

    ``orthonormal``: the first has another root of 2 less, as librosa and torchaudio have it, and tf.signal does not.
    """
    angles = math.pi / bands * np.arange(coefficients)[:, None] * (np.arange(bands) + 0.5)
    weights = math.sqrt(2.0 / bands) * cos(angles)
    if orthonormal:
        weights[0] = weights[0] * math.sqrt(0.5)
    return np.asarray(weights)
