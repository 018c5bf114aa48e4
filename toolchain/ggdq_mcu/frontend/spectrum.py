"""Mel spectra and their cosine transforms, as the libraries compute them that networks are trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ggdq_mcu.errors import GgdqError
from ggdq_mcu.frontend.features import INPUT, Features, samples_of
from ggdq_mcu.graph import Node
from ggdq_mcu.operators.mel_spectrum import MelSpectrum
from ggdq_mcu.operators.shared import mel
from ggdq_mcu.operators.shared.frames import framed

Array = NDArray[Any]
#: What the libraries' functions do, as fields of the operator.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tf": {"scale": "tf", "power": False, "decibels": False, "floor": 1e-6, "added": True, "orthonormal": False},
    "librosa": {
        "scale": "slaney",
        "power": True,
        "decibels": True,
        "floor": 1e-10,
        "added": False,
        "orthonormal": True,
    },
    "torchaudio": {
        "scale": "htk",
        "power": True,
        "decibels": True,
        "floor": 1e-10,
        "added": False,
        "orthonormal": True,
    },
}


@dataclass(frozen=True)
class LogMel(Features):
    """Logarithms of ``bands`` mel filters from ``lowest`` to ``highest`` Hz, of a transform of ``size`` points (0: enough).

    ``preset``: "tf": tf.signal's stft, magnitudes, log(x + 1e-6), as MLPerf Tiny's keyword spotter; "librosa":
    feature.melspectrogram(center=False) and power_to_db(top_db=None); "torchaudio": MelSpectrogram(center=False) and
    AmplitudeToDB(top_db=None). ``shape`` of the window: hann, hamming or ones.
    """

    step: int = 320
    bands: int = 40
    size: int = 0
    lowest: float = 20.0
    highest: float = 4000.0
    shape: str = "hann"
    preset: str = "tf"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise GgdqError(f"has no preset {self.preset[:40]!r}", "front end", f"presets: {', '.join(PRESETS)}")

    @property
    def width(self) -> int:
        return self.operator.width

    @property
    def _coefficients(self) -> int:
        return 0

    @property
    def operator(self) -> MelSpectrum:
        """The operator that computes it."""
        return MelSpectrum(
            self.rate, self.window, self.step, self.bands, self._coefficients,
            self.size or max(32, 1 << max(self.window - 1, 0).bit_length()), self.lowest, self.highest, self.shape,
            **PRESETS[self.preset],
        )  # fmt: skip

    def input_shape(self, samples: int) -> tuple[int, ...]:
        return (samples, 1)

    def chain(self, samples: int) -> Sequence[Node]:
        return [Node("features", self.operator, (INPUT,))]

    def real(self, wave: Array) -> Array:
        """The definition in float64: features (..., frames, width) of waves (..., samples).

        Firmware's integers, and the call of this object, are within 80 dB of it; the last bits depend on the computer.
        """
        samples, leading = samples_of(wave, self.window)
        one = self.operator
        frames = framed(samples / 32768, one.window, one.step) * mel.window(one.shape, one.window)
        spectrum = np.abs(np.fft.rfft(frames, one.size))
        bank = mel.filter_bank(one.scale, one.bands, one.size // 2 + 1, one.rate, one.lowest, one.highest)
        sums = (spectrum**2 if one.power else spectrum) @ bank
        sums = sums + one.floor if one.added else np.maximum(sums, one.floor)
        features = 10 * np.log10(sums) if one.decibels else np.log(sums)
        if one.coefficients:
            features = features @ mel.cosines(one.coefficients, one.bands, one.orthonormal).T
        return np.asarray(features.reshape(*leading, *features.shape[1:]))


@dataclass(frozen=True)
class MFCC(LogMel):
    """The first ``coefficients`` of the cosine transform of LogMel: MLPerf Tiny's 10 of 40 bands are the defaults."""

    coefficients: int = 10

    @property
    def _coefficients(self) -> int:
        return self.coefficients
