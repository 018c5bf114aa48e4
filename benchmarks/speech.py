"""Recordings to try front ends on: noises and tones of every level, and sounds like speech.

espeak-ng speaks where it is installed (Debian's package of that name); else vowels are made of pulses and resonances.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Array = NDArray[Any]
RATE = 16000
_WORDS = (
    "yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go",
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "okay", "nabu",
)  # fmt: skip
_VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))  # formants, Hz


def noises(count: int, samples: int = RATE, seed: int = 0) -> Iterator[Array]:
    """Random recordings (samples,) int16: uniform over all integers, noise of any level, tones that wander."""
    random = np.random.default_rng(seed)
    for number in range(count):
        level = 2 ** random.uniform(0, 15)
        kind = number % 4
        if kind == 0:
            yield random.integers(-32768, 32768, samples).astype(np.int16)
        elif kind == 1:
            yield (level * np.sin(np.cumsum(random.uniform(0, 0.5, samples)))).astype(np.int16)
        else:
            yield np.clip(random.normal(0, level, samples), -32768, 32767).astype(np.int16)


def speech(count: int, seed: int = 0) -> Iterator[Array]:
    """Recordings of about a second (samples,), int16, of words at any speed, pitch and level, with noise."""
    random = np.random.default_rng(seed)
    for number in range(count):
        sound = _spoken(number, random) if shutil.which("espeak-ng") else _vowels(random)
        sound = sound / max(np.abs(sound).max(), 1e-9) * 2 ** random.uniform(9, 15)
        sound += random.normal(0, 2 ** random.uniform(0, 7), len(sound))
        yield np.clip(sound, -32768, 32767).astype(np.int16)


def _spoken(number: int, random: np.random.Generator) -> Array:
    word = _WORDS[number % len(_WORDS)]
    voice = ("en", "en-us", "en+f3", "en+m3", "en-gb+f2")[random.integers(5)]
    speed, pitch = (str(random.integers(*span)) for span in ((120, 220), (20, 80)))
    line = ["espeak-ng", "-v", voice, "-s", speed, "-p", pitch, "--stdout", word]
    with wave.open(io.BytesIO(subprocess.run(line, check=True, capture_output=True).stdout)) as file:
        rate, content = file.getframerate(), file.readframes(1 << 24)
    return resampled(np.frombuffer(content, "<i2").astype(np.float64), rate)


def resampled(sound: Array, rate: int) -> Array:
    """A sound of ``rate`` Hz at RATE."""
    return np.asarray(signal.resample_poly(sound, RATE, rate))


def _vowels(random: np.random.Generator) -> Array:
    """Three vowels: pulses of a pitch that falls, through three resonances each."""
    parts = []
    for _ in range(3):
        length = int(random.integers(3000, 6000))
        pitch = random.uniform(80, 250) * np.linspace(1.1, 0.9, length)
        pulses = np.diff(np.floor(np.cumsum(pitch) / RATE), prepend=0.0) + random.normal(0, 0.02, length)
        for formant in _VOWELS[random.integers(len(_VOWELS))]:
            radius, angle = 0.97, 2 * np.pi * formant / RATE
            pulses = signal.lfilter([1], [1, -2 * radius * np.cos(angle), radius**2], pulses)
        parts.append(pulses * np.hanning(length))
    return np.concatenate(parts)
